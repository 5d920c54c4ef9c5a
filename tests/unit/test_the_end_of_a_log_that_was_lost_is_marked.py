"""I5: a result says how long its log is; when the end of it never comes, a mark stands in its place."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.wire.claims import Attempt, WorkerName
from agent.wire.messages import Result
from bridge.errors import ClusterDown
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.recorder import Recorder
from bridge.relay.sources.local import LocalSource
from bridge.relay.tails import PATIENCE_S, Tails
from tests.support.carrier import enrolled, taken
from tests.support.cluster import Running, running_cluster

SHOP = WorkerName("ag-shop-a")
MARK = "\n[... 7 characters at the end may be missing: lost on the way ...]\n"


@dataclass
class Relay:
    running: Running
    ledger: Ledger
    recorder: Recorder
    custody: Custody

    async def bring(self, text: str) -> None:
        """Text of the shop, as the collector takes it."""
        custody = await self.ledger.attempt((self.custody.job_id, self.custody.attempt))
        assert custody is not None
        await LocalSource(self.running.cluster.jobs).push_log(custody, f"{SHOP}/1", 0, text, missing=0)
        await self.ledger.log_moved((custody.job_id, custody.attempt), SHOP, len(text))

    async def look(self, *there: WorkerName, log_waits: bool = False) -> str:
        """After a while; the job's log."""
        self.running.clock.ahead_s += PATIENCE_S
        await self.recorder.tails.look(there, log_waits=log_waits)
        path = f"/api/w/main/jobs_u/get_logs/{self.custody.job_id}"
        return (await self.running.admin.get(path)).text


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    """The shop's result is recorded, and its log has 10 characters."""
    async with running_cluster(tmp_path) as running:
        source, ledger = LocalSource(running.cluster.jobs), Ledger(running.store, running.clock)
        custody = await taken(running, source, ledger)
        await enrolled(ledger, SHOP, "bash")
        await ledger.accept((custody.job_id, custody.attempt), SHOP)
        recorder = Recorder(source, ledger, running.clock)
        result = Result(
            job_id=custody.job_id, attempt=custody.attempt, workspace="main", success=True, log_chars=10
        )
        await recorder.record(result, b"1")
        yield Relay(running, ledger, recorder, custody)


async def test_once_and_only_when_nothing_can_come_any_more(relay: Relay) -> None:
    await relay.bring("abc")
    assert await relay.look() == "abc"  # the shop is away, and may have it still
    assert await relay.look(SHOP, log_waits=True) == "abc"
    await relay.recorder.tails.look([SHOP], log_waits=False)  # too soon after that
    assert await relay.look(SHOP) == "abc" + MARK
    assert await relay.look(SHOP) == "abc" + MARK
    await relay.bring("abcdefghij")  # it was not lost, only late
    assert await relay.look(SHOP) == "abc" + MARK + "defghij"


class AwaySource(LocalSource):
    async def push_log(self, *_about: object, **_more: object) -> None:
        raise ClusterDown("away")


def noted(relay: Relay, tails: Tails, attempt: int) -> None:
    custody = replace(relay.custody, custodian=SHOP, attempt=Attempt(attempt))
    result = Result(
        job_id=custody.job_id, attempt=Attempt(attempt), workspace="main", success=True, log_chars=10
    )
    tails.note(custody, result)


async def test_while_the_cluster_is_away_it_waits(relay: Relay) -> None:
    tails = Tails(AwaySource(relay.running.cluster.jobs), relay.ledger, relay.running.clock)
    noted(relay, tails, 1)
    for _ in range(2):
        relay.running.clock.ahead_s += PATIENCE_S
        with pytest.raises(ClusterDown):
            await tails.look([SHOP], log_waits=False)
        assert not tails.are_due


async def test_a_run_that_does_not_count_gets_none_and_only_so_many_are_kept(relay: Relay) -> None:
    tails = Tails(LocalSource(relay.running.cluster.jobs), relay.ledger, relay.running.clock, most=1)
    noted(relay, tails, 1)
    noted(relay, tails, 2)  # there was no such attempt; and the first is forgotten
    relay.recorder.tails = tails
    assert await relay.look(SHOP) == ""
    assert not tails.are_due


async def test_a_log_that_came_whole_gets_none(relay: Relay) -> None:
    await relay.bring("abcdefghij")
    assert await relay.look(SHOP) == "abcdefghij"
