"""I1: a job that nobody took in time is accepted in the moment in which the bridge decides about it."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Delivery, Job
from bridge.relay.ledger import Custody, Key, Ledger
from bridge.relay.lost import TAKING_S, Lost
from bridge.relay.policy import Policies, Replace
from bridge.relay.recorder import Recorder
from bridge.relay.sources.local import LocalSource
from tests.support.carrier import Carrier, enrolled
from tests.support.cluster import Running, running_cluster

SHOP = WorkerName("ag-shop-a")
KEY = (JobId("j"), Attempt(1))
LOST_AFTER_S = 30.0


class LedgerThatIsBeaten(Ledger):
    """The ledger as it is; just before it refuses an attempt to all who come, one has come."""

    is_beaten = True

    async def refuse(self, key: Key, by: str) -> bool:
        if self.is_beaten:
            await self.accept(key, SHOP)
        return await super().refuse(key, by)


@dataclass
class Relay:
    running: Running
    ledger: LedgerThatIsBeaten
    lost: Lost

    async def publish(
        self, delivery: Delivery = Delivery.AT_LEAST_ONCE, replace: Replace | None = None,
        not_after: float | None = None,
    ) -> Custody:  # fmt: skip
        """One job is in the broker."""
        job = Job(job_id=KEY[0], attempt=KEY[1], workspace="main", tag=Tag("t"), language="bash", code="",
                  args=b"{}", delivery=delivery)  # fmt: skip
        custody = Custody(job_id=KEY[0], attempt=KEY[1], workspace="main", tag=job.tag, token="",
                          job_json="{}", replace=replace, not_after=not_after)  # fmt: skip
        await self.ledger.take(custody, pack([job]))
        await self.ledger.published(KEY)
        return custody

    async def look_twice(self) -> list[tuple[int, str]]:
        """With long enough in between; the rows then."""
        await self.lost.look(Carrier())
        self.running.clock.ahead_s += LOST_AFTER_S + 1
        await self.ledger.heard(SHOP)
        await self.lost.look(Carrier())
        return sorted((row["attempt"], row["state"]) for row in await self.ledger.custody())


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    async with running_cluster(tmp_path) as running:
        ledger = LedgerThatIsBeaten(running.store, running.clock)
        await enrolled(ledger, SHOP, "t")
        recorder = Recorder(LocalSource(running.cluster.jobs), ledger, running.clock)
        yield Relay(running, ledger, Lost(recorder, ledger, running.clock, Policies(LOST_AFTER_S)))


async def test_what_the_broker_seems_to_have_lost(relay: Relay) -> None:
    await relay.publish()
    assert await relay.look_twice() == [(1, "accepted")]


@pytest.mark.parametrize("delivery", list(Delivery))
async def test_what_the_broker_lost_goes_out_again(relay: Relay, delivery: Delivery) -> None:
    """Also what may run only once: nobody was granted it."""
    relay.ledger.is_beaten = False
    await relay.publish(delivery)
    assert await relay.look_twice() == [(1, "closed"), (2, "taken")]
    assert await relay.ledger.accept(KEY, SHOP) is None


async def test_what_expires(relay: Relay) -> None:
    await relay.publish(not_after=relay.running.clock.wall_s() - TAKING_S)
    assert await relay.look_twice() == [(1, "accepted")]


async def test_an_attempt_is_given_up_once(relay: Relay) -> None:
    """Two parts of the bridge decide the same: there is one next attempt."""
    custody = await relay.publish()
    for _ in range(2):
        await relay.ledger.replace(custody, b"next")
    rows = [(row["attempt"], row["state"]) for row in await relay.ledger.custody()]
    assert sorted(rows) == [(1, "closed"), (2, "taken")]


async def test_no_job_ends_on_the_word_of_a_stranger(relay: Relay) -> None:
    """What was refused is not what we published, and the job may not be dispatched again."""
    custody = await relay.publish(replace=Replace.NEVER)
    await relay.lost.refused(custody, "0" * 64, "it was forged")
    assert [row["state"] for row in await relay.ledger.custody()] == ["published"]


async def test_what_was_refused_and_is_ours_goes_out_again(relay: Relay) -> None:
    """Its bytes are those that we published: it came damaged, and is gone."""
    custody = await relay.publish()
    body = await relay.ledger.body(KEY)
    assert body is not None
    await relay.lost.refused(custody, hashlib.sha256(body).hexdigest(), "its signature is torn")
    rows = [(row["attempt"], row["state"]) for row in await relay.ledger.custody()]
    assert sorted(rows) == [(1, "closed"), (2, "taken")]
