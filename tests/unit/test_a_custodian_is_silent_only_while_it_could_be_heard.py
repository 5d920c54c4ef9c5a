"""Silence is counted by a clock that cannot jump, and not while the broker is away."""

from pathlib import Path

import pytest

from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Delivery, Job
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies, by_pattern
from bridge.relay.recorder import Recorder
from bridge.relay.silence import Silence
from bridge.relay.sources.local import LocalSource
from tests.support.carrier import Carrier
from tests.support.cluster import running_cluster

SHOP = WorkerName("ag-shop-a")


class HandClock:
    wall = 1_000_000.0
    monotonic = 50.0

    def wall_s(self) -> float:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic


def test_a_jump_of_the_wall_clock_makes_nobody_silent() -> None:
    clock = HandClock()
    silence = Silence(clock)
    assert silence.of(SHOP, last_heard=clock.wall) == 0
    clock.wall += 10 * 365 * 86_400
    clock.monotonic += 7
    assert silence.of(SHOP, last_heard=1_000_000.0) == 7


def test_a_restart_of_the_bridge_forgets_no_silence() -> None:
    clock = HandClock()
    assert Silence(clock).of(SHOP, last_heard=clock.wall - 3600) == 3600


def test_a_word_ends_the_silence() -> None:
    clock = HandClock()
    silence = Silence(clock)
    silence.of(SHOP, last_heard=clock.wall - 3600)
    assert silence.of(SHOP, last_heard=clock.wall) == 0


def test_after_the_brokers_return_the_listening_begins_anew() -> None:
    clock = HandClock()
    silence = Silence(clock)
    silence.hearing(now=True)
    clock.monotonic += 100
    assert silence.could_be_heard_for(60)
    silence.hearing(now=False)
    silence.hearing(now=True)
    assert not silence.could_be_heard_for(60)


async def test_a_session_that_broke_between_two_looks_is_listened_to_anew(tmp_path: Path) -> None:
    clock = HandClock()
    async with running_cluster(tmp_path) as running:
        ledger = Ledger(running.store, clock)
        recorder = Recorder(LocalSource(running.cluster.jobs), ledger, clock)
        lost = Lost(recorder, ledger, clock, Policies(30))
        job = Job(job_id=JobId("a"), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash",
                  code="", args=b"{}")  # fmt: skip
        claims = Claims(worker=SHOP, worker_group="shop", tags=frozenset({job.tag}), expires_s=0)
        await ledger.enrol(claims, "0", 1)
        custody = Custody(job_id=job.job_id, attempt=job.attempt, workspace="main", tag=job.tag, token="",
                          job_json="{}")  # fmt: skip
        await ledger.take(custody, pack([job]))
        await ledger.accept((job.job_id, job.attempt), SHOP)
        await lost.look(Carrier())
        clock.monotonic += 31  # deaf for all this time, and nobody knew
        lost.listen_anew()
        await lost.look(Carrier())
        assert [row["outcome"] for row in await ledger.custody()] == [None]
        clock.monotonic += 29
        await lost.look(Carrier())
        assert [row["outcome"] for row in await ledger.custody()] == [None]
        clock.monotonic += 1
        await lost.look(Carrier())
        assert sorted(str(row["outcome"]) for row in await ledger.custody()) == ["None", "lost"]


def test_the_first_pattern_that_matches_decides() -> None:
    text = '{"pos-1": {"lost_after_s": 20}, "pos-*": {"delivery": "at_most_once", "replace": "never"}}'
    policies = Policies(100, by_pattern(text))
    assert [policies.lost_after(Tag(tag)) for tag in ("pos-1", "pos-2", "bash")] == [20, 100, 100]
    assert policies.delivery(Tag("pos-2"), Delivery.AT_LEAST_ONCE) is Delivery.AT_MOST_ONCE
    assert not policies.may_replace(Tag("pos-2"), Delivery.AT_LEAST_ONCE)
    assert policies.may_replace(Tag("bash"), Delivery.AT_LEAST_ONCE)
    assert not policies.may_replace(Tag("bash"), Delivery.AT_MOST_ONCE)  # I2


@pytest.mark.parametrize("text", ["[]", '{"a": {"lost": 1}}', '{"a": {"lost_after_s": 1}}', "{"])
def test_a_wrong_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        by_pattern(text)
