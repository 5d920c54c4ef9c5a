"""One suite on the embedded cluster and on one that is not ours: the agent's link as a plain worker.

The fake refuses what a real one would refuse (agent-api.md 1 to 3), and no request may be refused.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import AnswerLost, LinkDown
from agent.jobs.book import Book
from agent.jobs.holdings import SpoolHoldings
from agent.link.http.api import Api, client_for
from agent.link.http.doubts import Doubts
from agent.link.http.link import HttpLink
from agent.link.http.plain import Plain
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.wire.claims import Tag
from agent.wire.messages import Cancel, Log, Receipt, Revoke
from agent.wire.tokens import bearer_of
from tests.contract.test_a_link_over_http_keeps_custody import Site, key_of
from tests.support.cluster import running_cluster, served
from tests.support.clusters import TAGS, Cluster, Embedded, Foreign, minted
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster


@dataclass(frozen=True, slots=True)
class Place:
    cluster: Cluster
    url: str
    token: str


@asynccontextmanager
async def ours(folder: Path) -> AsyncIterator[Place]:
    async with running_cluster(folder) as running, served(running.app) as url:
        yield Place(Embedded(running), url, await minted(running, *TAGS))


@asynccontextmanager
async def foreign(_folder: Path) -> AsyncIterator[Place]:
    async with fake_cluster() as fake:
        yield Place(Foreign(fake), fake.url, fake.api.token(*TAGS))
        assert fake.refused == []


@pytest.fixture(params=[ours, foreign])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    opened: Callable[[Path], AbstractAsyncContextManager[Place]] = request.param
    async with opened(tmp_path) as one:
        yield one


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as opened:
        yield opened


@asynccontextmanager
async def linked(url: str, token: str, folder: Path) -> AsyncIterator[Site]:
    spool = await Spool.open(folder / "spool", SystemClock())
    book = Book(spool, SystemClock())
    holdings = SpoolHoldings(spool, book)
    async with client_for(url, bearer_of(token, "till-a1b2c"), SYSTEM) as client:
        api = Api(client, SYSTEM)
        dialect = Plain(api, holdings, Doubts(holdings), hostname="till", tags=frozenset(map(Tag, TAGS)))
        link = HttpLink(api, dialect, holdings)
        await link.begin()
        for tag in TAGS:
            await link.open_tag(Tag(tag), 2)
        yield Site(link, dialect, book, spool)
    await spool.close()


@pytest.fixture
async def site(place: Place, tmp_path: Path) -> AsyncIterator[Site]:
    async with linked(place.url, place.token, tmp_path) as opened:
        yield opened


@pytest.fixture
async def afar(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[Site]:
    """At the fake, which a test lets misbehave."""
    async with linked(fake.url, fake.api.token(*TAGS), tmp_path) as opened:
        yield opened


async def test_a_job_goes_its_whole_way(place: Place, site: Site) -> None:
    await place.cluster.set_env("SHOP", "Süd")
    job_id = await place.cluster.push(args={"n": 1, "who": "süd"}, timeout=60, tag="pos-a")
    job = await site.take()
    assert (job.job_id, job.workspace, job.tag, job.timeout_s) == (job_id, "main", "pos-a", 60)
    assert (job.code, json.loads(job.args), job.env["SHOP"]) == ("echo hi", {"n": 1, "who": "süd"}, "Süd")
    await site.link.publish("ping", [])
    await site.spool.add_log(key_of(job), 0, "hällo\n")
    await site.link.publish("log", [Log(job_id=job.job_id, attempt=job.attempt, offset=0, text="hällo\n")])
    await site.finish(job, document=b'{"n": [1]}', duration_ms=1234, mem_peak_kb=56, started_at=1.0)
    assert await site.told() == Receipt(job_id=job.job_id, attempt=job.attempt)
    record = await place.cluster.record(job_id)
    assert (record.success, record.result) == (True, {"n": [1]})
    assert (record.duration_ms, record.mem_peak_kb) == (1234, 56)
    assert (await place.cluster.logs(job_id)).endswith("hällo\n")


async def test_a_failure_says_why_and_who_cancelled_it(place: Place, site: Site) -> None:
    for how, canceled_by in (({}, None), ({"canceled_by": "ana", "canceled_reason": "no"}, "ana")):
        job_id = await place.cluster.push()
        job = await site.take()
        await site.finish(job, success=False, document=b'{"name":"E","message":"m"}', **how)
        record = await place.cluster.record(job_id)
        assert (record.success, record.canceled_by) == (False, canceled_by)
        assert record.result == {"error": {"name": "E", "message": "m"}}


async def test_text_that_no_column_holds_arrives_without_that(place: Place, site: Site) -> None:
    job_id = await place.cluster.push()
    job = await site.take()
    text = "a\0b\ud800c"
    await site.link.publish("log", [Log(job_id=job.job_id, attempt=job.attempt, offset=0, text=text)])
    assert (await place.cluster.logs(job_id)).endswith("ab?c")


async def test_a_cancel_is_heard_of_once(place: Place, site: Site) -> None:
    job_id = await place.cluster.push()
    job = await site.take()
    await place.cluster.cancel(job_id, "changed my mind")
    told = Cancel(job_id=job.job_id, attempt=job.attempt, by="admin", reason="changed my mind")
    assert await site.dialect.next_news() == [told]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await site.dialect.next_news()


async def test_a_job_that_ended_there_is_over_here(place: Place, site: Site) -> None:
    job_id = await place.cluster.push()
    job = await site.take()
    await place.cluster.force_cancel(job_id)
    assert await site.dialect.next_news() == [Revoke(job_id=job.job_id, attempt=job.attempt, over=True)]
    before = await place.cluster.record(job_id)
    await site.finish(job)  # it was sent already
    assert await site.told() == Receipt(job_id=job.job_id, attempt=job.attempt)
    assert replace(await place.cluster.record(job_id), running=False) == replace(before, running=False)


@pytest.mark.parametrize("trouble", [Trouble.RESET_AFTER, Trouble.TRUNCATED, Trouble.DROPPED_AT_THE_GATE])
async def test_a_call_whose_answer_was_lost(fake: FakeCluster, afar: Site, trouble: Trouble) -> None:
    """A pull does not go again, a result does until there is an answer, log text is marked."""
    cluster = Foreign(fake)
    job_id = await cluster.push()
    fake.misbehave("pull_job", trouble)
    with pytest.raises(AnswerLost):
        await afar.link.next_job()
    assert len(fake.asked("pull_job")) == 1
    fake.api.jobs.sweep(job_id)
    job = await afar.take()
    fake.misbehave("push_logs", trouble)
    chunk = Log(job_id=job.job_id, attempt=job.attempt, offset=0, text="one\n")
    with pytest.raises(AnswerLost):
        await afar.link.publish("log", [chunk])
    await afar.link.publish("log", [replace(chunk, text="one\ntwo\n")])
    logs = await cluster.logs(job_id)
    assert (logs.count("one\n"), "up to 4 characters missing" in logs, logs.endswith("two\n")) == (
        1,
        True,
        True,
    )
    fake.misbehave("send_result", trouble)
    await afar.finish(job)  # it asks whether the cluster has it, and it has
    assert await afar.told() == Receipt(job_id=job.job_id, attempt=job.attempt)
    assert len(fake.api.jobs.jobs[job_id].completions) == 1


@pytest.mark.parametrize("status", [401, 429, 503])
async def test_a_result_that_was_not_taken_is_kept(fake: FakeCluster, afar: Site, status: int) -> None:
    job_id = await Foreign(fake).push()
    job = await afar.take()
    fake.refuse("send_result", status)
    with pytest.raises(LinkDown):
        await afar.finish(job)
    assert fake.api.jobs.jobs[job_id].completions == []
    assert afar.book.backlog == 1
