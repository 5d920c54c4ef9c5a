"""A real spool, and real HTTP: each result is brought once, and kept at the site until it is decided on."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.holdings import SpoolHoldings
from agent.jobs.model import Event, Key
from agent.link.http.api import Api, client_for
from agent.link.http.edge import Edge
from agent.link.http.link import HttpLink
from agent.link.http.offering import AGAIN_S, Offering
from agent.link.http.pull_keys import PullKeys
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.trust import SigningKey
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import BLOB_PART_BYTES, job_in
from agent.wire.messages import Accepted, Result
from agent.wire.quarantine import ACCEPTED, KEPT, REJECTED
from agent.wire.tokens import bearer_of
from bridge.relay.shelf import BYTES_MAX, Kept, Shelf
from tests.support.cluster import Running, served

SUFFIX = "till-a1b2c"
WORKER = WorkerName(f"ag-pos-{SUFFIX}")
TAGS = frozenset((Tag("bash"),))
LARGE = b'"' + b"x" * (2 * BLOB_PART_BYTES) + b'"'
ENROLLED = Enrolment(worker=WORKER, worker_group="pos", tags=("bash",), shared_tags=(), link=LinkKind.HTTP)


@dataclass
class Site:
    running: Running
    spool: Spool
    book: Book
    offering: Offering
    token: Secret

    async def offer(self) -> None:
        await self.offering.offer(ENROLLED, self.token)

    async def revoke(self) -> None:
        blacklisted = {"token": self.token.reveal()}
        await self.running.admin.post("/api/agent_workers/blacklist_token", json=blacklisted)
        await self.running.cluster.holding.take_from(WORKER, "its token was revoked", is_trusted=False)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.running.store, self.running.clock)

    async def kept(self) -> dict[str, int]:
        """The jobs whose results are kept, and how large those are."""
        return {row["job_id"]: row["bytes"] for row in await self.shelf.listed()}


@pytest.fixture
async def site(cluster: Running, tmp_path: Path) -> AsyncIterator[Site]:
    spool = await Spool.open(tmp_path / "spool", SystemClock())
    book = Book(spool, SystemClock())
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + 3600}
    token = (await cluster.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
    async with served(cluster.app) as url:
        made = Offering(url, SUFFIX, SpoolHoldings(spool, book), SYSTEM, cluster.clock, SigningKey.made())
        yield Site(cluster, spool, book, made, Secret(token))
    await spool.close()


async def finished(site: Site, *documents: bytes) -> list[Key]:
    """As many jobs were taken over HTTP and have ended, before anything of them could leave."""
    keys: list[Key] = []
    for _ in documents:
        await site.running.preview()
    async with (
        served(site.running.app) as url,
        client_for(url, bearer_of(site.token.reveal(), SUFFIX), SYSTEM) as client,
    ):
        api, holdings = Api(client, SYSTEM), SpoolHoldings(site.spool, site.book)
        dialect = Edge(api, holdings, PullKeys(), worker=WORKER, hostname="till", tags=TAGS)
        link = HttpLink(api, dialect, holdings)
        await link.open_tag(Tag("bash"), len(documents))
        for document in documents:
            delivery = await link.next_job()
            job = job_in(delivery.body)
            key = (job.job_id, job.attempt)
            await site.book.hold(job, delivery.body)
            await delivery.ack()
            await link.publish("event", [Accepted(job_id=key[0], attempt=key[1])])
            await site.book.apply(key, Event.STARTED)
            result = Result(
                job_id=key[0], attempt=key[1], workspace="main", success=True, document=document,
                started_at=1.0,
            )  # fmt: skip
            await site.book.finish(key, Event.EXITED, result)
            keys.append(key)
    return keys


async def test_each_is_brought_once_and_stays_in_the_spool(site: Site) -> None:
    (small, _), (large, _) = await finished(site, b'"late"', LARGE)
    await site.revoke()
    await site.offer()
    assert await site.kept() == {small: 6, large: len(LARGE)}
    document = (await site.shelf.undecided(Kept(large, Attempt(1), WORKER)) or {})["document"]
    assert document == LARGE
    assert (site.book.held, site.book.backlog) == (2, 2)
    site.running.clock.ahead_s += 91 * 86_400
    await site.shelf.prune()
    site.running.clock.ahead_s = 0.0
    await site.offer()
    assert await site.kept() == {}, "within the hour nothing is brought again"


async def test_what_an_operator_decided_is_let_go(site: Site) -> None:
    """The agent asks once an hour."""
    (accepted, _), (rejected, _), (open_, _) = await finished(site, b"1", b"2", b"3")
    await site.revoke()
    await site.offer()
    await site.shelf.decide(Kept(accepted, Attempt(1), WORKER), ACCEPTED, "ana")
    await site.shelf.decide(Kept(rejected, Attempt(1), WORKER), REJECTED, "ana")
    await site.offer()
    assert site.book.backlog == 3
    site.running.clock.ahead_s += AGAIN_S
    await site.offer()
    assert await site.spool.keys.all() == [(open_, Attempt(1))]
    assert site.book.backlog == 1


async def test_what_had_left_before_is_offered_too(site: Site) -> None:
    ((job, attempt),) = await finished(site, b"1")
    await site.book.note_sent([(job, attempt)])
    await site.revoke()
    await site.offer()
    assert await site.kept() == {job: 1}


async def test_where_there_is_no_room_they_wait_at_the_site(site: Site) -> None:
    ((job, _),) = await finished(site, b"1")
    await site.revoke()
    other = Kept(JobId("large"), Attempt(1), WORKER)
    assert await site.shelf.offer(other, b"", bytes(BYTES_MAX)) == KEPT
    await site.offer()
    assert list(await site.kept()) == ["large"]
    await site.shelf.decide(other, REJECTED, "ana")
    await site.offer()
    assert (await site.kept())[job] == 1


async def test_a_token_that_holds_after_all_is_for_the_link(site: Site) -> None:
    await finished(site, b"1")
    await site.offer()
    assert await site.kept() == {}
    assert site.book.backlog == 1


async def test_a_damaged_result_keeps_no_other_from_being_offered(site: Site) -> None:
    (damaged, _), (whole, _) = await finished(site, b"1", b"2")
    with closing(sqlite3.connect(site.spool.folder.database)) as database, database:
        database.execute("UPDATE held SET result = zeroblob(length(result)) WHERE job_id = ?", (damaged,))
    await site.revoke()
    await site.offer()
    assert await site.kept() == {whole: 1}


async def test_nothing_ended_asks_nothing(site: Site) -> None:
    holdings = SpoolHoldings(site.spool, site.book)
    site.offering = Offering("http://127.0.0.1:9", SUFFIX, holdings, SYSTEM, site.running.clock)
    await site.offer()
