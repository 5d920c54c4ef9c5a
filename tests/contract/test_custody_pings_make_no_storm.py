"""I6: a cluster is asked about each of many jobs once an interval, evenly, and never about many at once."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from agent.clock import SystemClock
from agent.logs import Secret
from agent.wire.claims import Attempt, JobId, Tag
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.http import HTTPSource
from bridge.relay.watch import AT_ONCE, Watch
from bridge.store.connection import open_store
from bridge.upstream import Upstream
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster
from tests.support.until import until

JOBS: Final = 200
EVERY_S: Final = 3.0
PING: Final = "ping_job_status"


async def take(ledger: Ledger, job_id: JobId) -> None:
    custody = Custody(job_id=job_id, attempt=Attempt(1), workspace="main", tag=Tag("bash"), token="",
                      job_json="{}")  # fmt: skip
    await ledger.take(custody, b"")


@asynccontextmanager
async def watched(fake: FakeCluster, folder: Path) -> AsyncIterator[Ledger]:
    """A relay that answers for `JOBS` jobs of the cluster."""
    store, clock = await open_store(folder / "relay.db"), SystemClock()
    ledger, upstream = Ledger(store, clock), Upstream(fake.url, clock)
    source = HTTPSource(upstream, [Secret(fake.api.token("bash"))], "a", ledger, clock)
    source.ping_every_s = EVERY_S
    for _ in range(JOBS):
        await take(ledger, JobId(fake.api.jobs.push(FakeJob(code="", tag="bash", state="running"))))
    recorder = Recorder(source, ledger, clock)
    lost, signer = Lost(recorder, ledger, clock, Policies()), await Signer.load(ledger)
    watch = Watch(source, ledger, lambda: None, clock, lost, recorder, signer)
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(watch.run(), name="watch")
            yield ledger
            task.cancel()
    finally:
        await upstream.close()
        await store.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


async def test_they_are_spread_over_their_interval(fake: FakeCluster, tmp_path: Path) -> None:
    async with watched(fake, tmp_path):
        await until(lambda: len(fake.asked(PING)) >= 2 * JOBS, within_s=EVERY_S * 10)
    pings = fake.asked(PING)[: 2 * JOBS]
    assert set(Counter(ping.path for ping in pings).values()) == {2}
    at_s = [ping.at_s for ping in pings]
    assert max(later - earlier for earlier, later in pairwise(at_s)) < EVERY_S / 2  # no burst, no silence
    assert at_s[-1] - at_s[0] >= EVERY_S * 1.5


async def test_few_are_on_their_way_at_once(fake: FakeCluster, tmp_path: Path) -> None:
    fake.misbehave(PING, Trouble.LATE, times=math.inf)
    async with watched(fake, tmp_path):
        await until(lambda: len(fake.asked(PING)) == AT_ONCE)
        fake.behave()
        fake.let_go.set()
        await until(lambda: len(fake.asked(PING)) >= JOBS, within_s=EVERY_S * 10)
        assert max(Counter(ping.path for ping in fake.asked(PING)[:JOBS]).values()) == 1


async def test_they_stop_exactly_when_custody_ends(fake: FakeCluster, tmp_path: Path) -> None:
    async with watched(fake, tmp_path) as ledger:
        await until(lambda: len(fake.asked(PING)) >= 10)
        async with asyncio.TaskGroup() as group:  # their commits share an fsync
            for custody in await ledger.in_custody():
                group.create_task(ledger.close((custody.job_id, custody.attempt), "success"))
        closed_at = len(fake.asked(PING))
        assert closed_at < JOBS
        late = JobId(fake.api.jobs.push(FakeJob(code="", tag="bash", state="running")))
        await take(ledger, late)
        await until(lambda: [ping for ping in fake.asked(PING) if late in ping.path], within_s=EVERY_S * 5)
        assert (
            len(fake.asked(PING)) <= closed_at + AT_ONCE + 1
        )  # those of a round that had begun are not sent
