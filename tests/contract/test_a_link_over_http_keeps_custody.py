"""The real link on a real spool, against the real API in this process: what no outsider sees quickly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.holdings import SpoolHoldings
from agent.jobs.model import Event, Key
from agent.link.http.api import Api
from agent.link.http.dialect import Dialect
from agent.link.http.doubts import Doubts
from agent.link.http.edge import Edge
from agent.link.http.link import HttpLink
from agent.link.http.plain import Plain
from agent.link.http.pull_keys import PullKeys
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import job_in, unpack
from agent.wire.errors import Unresolved
from agent.wire.messages import OVER, Accepted, Grant, Job, Log, Message, Receipt, Result, Revoke
from tests.support.cluster import Running
from tests.support.until import until

TAGS = frozenset((Tag("bash"),))
WORKER = "ag-pos-till-a1b2c"
SOON_S = 20.0


@dataclass(slots=True)
class Site:
    link: HttpLink
    dialect: Dialect
    book: Book
    spool: Spool

    async def take(self) -> Job:
        """Pull the next job and hold it."""
        async with asyncio.timeout(SOON_S):
            delivery = await self.link.next_job()
        job = job_in(delivery.body)
        await self.book.hold(job, delivery.body)
        await delivery.ack()
        await self.link.publish("event", [Accepted(job_id=job.job_id, attempt=job.attempt)])
        return job

    async def told(self) -> Message:
        async with asyncio.timeout(SOON_S):
            (message,) = unpack((await self.link.next_control()).body)
        return message

    async def finish(self, job: Job, **how: object) -> Result:
        """Ends it as a run does, and sends the result."""
        result = Result(
            job_id=job.job_id, attempt=job.attempt, workspace=job.workspace, success=True, document=b"1"
        )
        result = replace(result, **how)
        await self.book.apply(key_of(job), Event.STARTED)
        await self.book.finish(key_of(job), Event.EXITED, result)
        await self.link.publish("result", [result])
        return result


def key_of(job: Job) -> Key:
    return job.job_id, job.attempt


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def site(cluster: Running, spool: Spool) -> AsyncIterator[Site]:
    async with linked(cluster, spool, edge) as opened:
        yield opened


@pytest.fixture
async def plain_site(cluster: Running, spool: Spool) -> AsyncIterator[Site]:
    """As an agent of a cluster that knows no bridge."""
    async with linked(cluster, spool, plain) as opened:
        yield opened


def edge(api: Api, holdings: SpoolHoldings) -> Dialect:
    return Edge(api, holdings, PullKeys(), worker=WORKER, hostname="till", tags=TAGS)


def plain(api: Api, holdings: SpoolHoldings) -> Dialect:
    return Plain(api, holdings, Doubts(holdings), hostname="till", tags=TAGS)


@asynccontextmanager
async def linked(
    cluster: Running, spool: Spool, spoken: Callable[[Api, SpoolHoldings], Dialect]
) -> AsyncIterator[Site]:
    book = Book(spool, SystemClock())
    holdings = SpoolHoldings(spool, book)
    api = Api(await cluster.agent("bash"), SYSTEM)
    dialect = spoken(api, holdings)
    link = HttpLink(api, dialect, holdings)
    await link.begin()
    await link.open_tag(Tag("bash"), 1)
    yield Site(link, dialect, book, spool)


async def test_jobs_come_beside_each_other_as_many_as_may_be_in_hand(cluster: Running, site: Site) -> None:
    """And what a life of the link had in hand when it ended, the next one gets by the names of the pulls."""
    jobs = [await cluster.preview() for _ in range(6)]
    await site.link.open_tag(Tag("bash"), 4)
    taking = [asyncio.ensure_future(site.link.next_job()) for _ in jobs]
    await until(lambda: sum(one.done() for one in taking) == 4, within_s=SOON_S)
    came = [await one for one in taking if one.done()]
    assert {job_in(one.body).job_id for one in came} == set(jobs[:4])
    first = job_in(came[0].body)
    await site.book.hold(first, came[0].body)
    await came[0].ack()
    await until(lambda: sum(one.done() for one in taking) == 5, within_s=SOON_S)
    for one in taking:
        one.cancel()
    assert await site.dialect.begin() == []  # nothing was given up: the other four are asked for again
    again = [await site.dialect.pull(TAGS, asyncio.Event(), waits=True) for _ in range(5)]
    assert {one.reply["job"]["id"] for one in again if one} == set(jobs) - {first.job_id}
    assert {one.reply["job"]["attempt"] for one in again if one} == {1}


async def test_a_receipt_lets_go_of_a_job_only_when_its_text_has_left(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.take()
    await site.spool.add_log(key_of(job), 0, "some text")
    await site.finish(job, log_chars=9)
    assert (await cluster.job(job.job_id))["success"]
    await site.link.publish("log", [Log(job_id=job.job_id, attempt=job.attempt, offset=0, text="some text")])
    assert await site.told() == Receipt(job_id=job.job_id, attempt=job.attempt)
    assert (await cluster.admin.get(f"/api/w/main/jobs_u/get_logs/{job.job_id}")).text == "some text"


async def test_text_that_left_before_an_interruption_holds_nothing_up(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.take()
    await site.finish(job, log_chars=9)  # sent and pruned by an earlier life of the link
    assert await site.told() == Receipt(job_id=job.job_id, attempt=job.attempt)


async def test_a_job_that_may_run_once_is_granted_when_it_is_held(cluster: Running, site: Site) -> None:
    await cluster.preview(delivery="at_most_once")
    job = await site.take()
    assert await site.told() == Grant(job_id=job.job_id, attempt=job.attempt)


async def test_a_job_that_was_stopped_for_another_worker_is_not_ended(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.take()
    await cluster.cluster.jobs.give_up({job.job_id: "a test"})
    other = await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    assert other is not None
    await site.finish(job, success=False, canceled_by=OVER[0], canceled_reason=OVER[1])
    assert await site.told() == Receipt(job_id=job.job_id, attempt=job.attempt)
    assert (await cluster.job(job.job_id))["type"] == "QueuedJob"


async def test_a_result_of_a_job_that_is_elsewhere_may_still_be_the_first(
    cluster: Running, site: Site
) -> None:
    await cluster.preview()
    job = await site.take()
    await cluster.cluster.jobs.give_up({job.job_id: "a test"})
    await site.finish(job)
    assert (await cluster.job(job.job_id))["result"] == 1


async def test_what_waits_for_nobody_is_dropped(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.take()
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job.job_id}", json={})
    assert await site.dialect.next_news() == [Revoke(job_id=job.job_id, attempt=job.attempt, over=True)]


async def test_a_plain_cluster_that_gives_its_holder_a_job_again_gives_nothing_new(
    cluster: Running, plain_site: Site
) -> None:
    await cluster.preview()
    job = await plain_site.take()
    await cluster.cluster.jobs.give_up({job.job_id: "a test"})
    pulled = await plain_site.dialect.pull(TAGS, asyncio.Event(), waits=True)
    assert pulled is not None
    assert pulled.reply["job"]["id"] == job.job_id
    assert await plain_site.dialect.attempt_of(pulled.reply) is None


async def test_a_job_that_was_stopped_is_a_new_one_when_it_comes_again(
    cluster: Running, plain_site: Site
) -> None:
    await cluster.preview()
    job = await plain_site.take()
    await cluster.cluster.jobs.give_up({job.job_id: "a test"})
    assert await plain_site.dialect.next_news() == [Revoke(job_id=job.job_id, attempt=job.attempt, over=True)]
    assert (await plain_site.take()).attempt == job.attempt + 1


async def test_a_job_too_large_to_be_held_fails(cluster: Running, site: Site) -> None:
    most = 16 * 1024 * 1024
    large = await cluster.preview("#" * (most - 200))
    small = await cluster.preview()
    assert (await site.take()).job_id == small
    record = await cluster.job(large)
    assert "16777216 are allowed" in str(record["result"])


async def test_a_plain_cluster_is_asked_what_arguments_stand_for(cluster: Running, plain_site: Site) -> None:
    variable = {"path": "u/admin/pin", "value": "1234", "is_secret": True, "description": ""}
    assert (await cluster.admin.post("/api/w/main/variables/create", json=variable)).is_success
    resource = {"path": "u/admin/till", "value": {"pin": "$var:u/admin/pin"}, "resource_type": "till"}
    assert (await cluster.admin.post("/api/w/main/resources/create", json=resource)).is_success
    await cluster.preview()
    pulled = await plain_site.dialect.pull(TAGS, asyncio.Event(), waits=True)
    assert pulled is not None
    pulled.reply["job"]["args"] = {
        "all": ["$var:u/admin/pin", {"till": "$res:u/admin/till"}, "$WM_USERNAME", "$5", 1.5]
    }
    found = await plain_site.dialect.arguments_of(pulled.reply)
    assert found.values == {"all": ["1234", {"till": {"pin": "1234"}}, "admin", "$5", 1.5]}
    assert found.secrets == ["1234", "1234"], "the job's log hides them"
    pulled.reply["job"]["args"] = {"pin": "$var:u/admin/gone"}
    with pytest.raises(Unresolved, match=r"argument `pin`: .*u/admin/gone"):
        await plain_site.dialect.arguments_of(pulled.reply)


async def test_a_crash_leaves_text_in_doubt_and_never_sends_it_twice(site: Site) -> None:
    holdings = SpoolHoldings(site.spool, site.book)
    key = (JobId("j"), Attempt(1))
    before = Doubts(holdings)
    assert await before.without(key, 0, "abc") == "abc"
    await before.ask(key, 0, 3)
    after = Doubts(holdings)
    rest = await after.without(key, 0, "abcdef")
    assert rest.endswith("...]\ndef")
    assert "up to 3 characters" in rest
    assert await after.without(key, 3, "def") == "def"
    assert await after.without((JobId("other"), Attempt(1)), 0, "abc") == "abc"


async def test_text_that_was_taken_is_passed_over(site: Site) -> None:
    doubts = Doubts(SpoolHoldings(site.spool, site.book))
    key = (JobId("j"), Attempt(1))
    await doubts.ask(key, 0, 3)
    doubts.settle(key)
    assert await doubts.without(key, 0, "abcdef") == "def"


async def test_text_that_was_certainly_not_taken_goes_again(site: Site) -> None:
    doubts = Doubts(SpoolHoldings(site.spool, site.book))
    key = (JobId("j"), Attempt(1))
    before = await doubts.ask(key, 0, 3)
    await doubts.withdraw(key, before)
    assert await doubts.without(key, 0, "abc") == "abc"
