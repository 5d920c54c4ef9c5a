"""Over the broker: a job whose language not all agents of its tag run goes to one that does, to it alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.messages import Accepted, Hello, Job, Rejected
from agent.wire.routing import EVENTS
from bridge.relay.collector import Collector
from bridge.relay.directing import WINDOW
from bridge.relay.dispatcher import Dispatcher
from bridge.relay.languages import HELD_MAX
from bridge.relay.ledger import Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Pulled
from tests.support.carrier import Carrier, enrolled
from tests.support.cluster import Running
from tests.support.until import until

pytestmark = pytest.mark.on_both_stores

PLAIN, ABLE = WorkerName("ag-shop-plain"), WorkerName("ag-shop-able")
BOTH = ["bash", "bun"]


class Foreign(LocalSource):
    """A cluster that hands out whatever it has."""

    keeps_languages_back = False
    idle_s = 0.1

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        del languages
        return await super().pull(lane)


@dataclass(frozen=True, slots=True)
class Relay:
    running: Running
    ledger: Ledger
    carrier: Carrier
    lost: Lost

    async def push(self, language: str = "bun") -> JobId:
        return JobId(await self.running.preview("code", language=language, tag="till"))

    async def row(self, job_id: str) -> dict[str, Any]:
        rows = [row for row in await self.ledger.custody() if row["job_id"] == job_id]
        return rows[-1] if rows else {}

    async def is_out(self, job_id: str) -> bool:
        return (await self.row(job_id)).get("state") == "published"

    def sent(self, worker: WorkerName) -> list[tuple[str, int]]:
        """The jobs that went to this agent alone."""
        told = self.carrier.told_to.get(worker, [])
        return [(one.job_id, one.attempt) for one in told if isinstance(one, Job)]

    async def up(self, worker: WorkerName, *messages: Any) -> None:
        assert await self.carrier.up(EVENTS, worker, *messages)


@asynccontextmanager
async def relaying(
    running: Running, source_of: Callable[[Any], LocalSource] = LocalSource
) -> AsyncIterator[Relay]:
    source = source_of(running.cluster.jobs)
    ledger, carrier, signer = (
        Ledger(running.store, running.clock),
        Carrier(),
        await Signer.load(Ledger(running.store, running.clock)),
    )
    recorder = Recorder(source, ledger, running.clock)
    policies = Policies(lost_after_s=100)
    lost = Lost(recorder, ledger, running.clock, policies)
    quarantine = Quarantine(ledger, recorder, running.cluster.tokens.blacklist.holds)
    proofs = running.cluster.devices.require_signed
    await enrolled(ledger, PLAIN, "till", languages=["bash"])
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(one.run())
            for one in (
                Dispatcher(source, ledger, carrier, signer, running.clock, policies, recorder, ready_max=50),
                Collector(source, ledger, carrier, lost, recorder, quarantine, running.clock, proofs, signer),
            )
        ]
        yield Relay(running, ledger, carrier, lost)
        for task in tasks:
            task.cancel()


async def test_what_no_agent_of_its_tag_runs_stays_in_the_cluster_until_one_does(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        waits, plain = await relay.push(), await relay.push("bash")
        await until(lambda: relay.carrier.jobs)
        assert await relay.row(plain)
        assert not await relay.row(waits)
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        await until(lambda: relay.sent(ABLE) == [(waits, 1)])
        assert len(relay.carrier.jobs) == 1
        await until(lambda: relay.is_out(waits))


async def test_a_few_go_to_one_agent_and_the_others_wait_for_a_place(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        jobs = [await relay.push() for _ in range(WINDOW + HELD_MAX + 30)]
        await until(lambda: len(relay.sent(ABLE)) == WINDOW)
        plain = await relay.push("bash")  # nobody holds it up
        await until(lambda: relay.row(plain), within_s=10)
        assert len(relay.sent(ABLE)) == WINDOW
        key = (jobs[0], Attempt(1))
        await relay.up(ABLE, Accepted(job_id=key[0], attempt=key[1]))
        assert (await relay.row(jobs[0]))["custodian"] == ABLE
        await relay.ledger.close(key, "success")
        await until(lambda: len(relay.sent(ABLE)) == WINDOW + 1)


async def test_what_is_refused_goes_as_the_same_attempt_to_an_agent_that_runs_it(cluster: Running) -> None:
    """Its enrolment said more than it can do now: so it is told no more of that language."""
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, PLAIN, "till", languages=BOTH)
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        job_id = await relay.push()
        await until(lambda: relay.carrier.jobs)
        refusal = Rejected(reason="LanguageNotRun", job_id=job_id, attempt=1, language="bun")
        await relay.up(WorkerName("ag-shop-stranger"), refusal)
        assert not relay.sent(ABLE)
        await relay.up(PLAIN, refusal)
        await until(lambda: relay.sent(ABLE) == [(job_id, 1)])
        await until(lambda: relay.is_out(job_id))
        await relay.up(PLAIN, refusal)  # sent again by the broker: it is another's by now
        assert await relay.is_out(job_id)
        assert relay.carrier.dead == []
        assert not (await relay.ledger.abilities()).is_run_by_all(Tag("till"), "bun")
        await relay.up(ABLE, refusal)  # now nobody runs it
        await until(lambda: _is_held(relay, job_id))
        assert len(relay.sent(ABLE)) == 1
        await relay.up(ABLE, hello(ABLE, BOTH))
        await until(lambda: len(relay.sent(ABLE)) == 2)


async def _is_held(relay: Relay, job_id: str) -> bool:
    return await relay.ledger.held_back.counts() == {("till", "bun"): 1} and bool(await relay.row(job_id))


def hello(worker: WorkerName, languages: list[str]) -> Hello:
    return Hello(
        worker=worker, version="0", slots=1, held=0, backlog=0, wall_s=0.0, tags=["till"], languages=languages
    )


async def test_the_time_that_it_waits_counts_towards_its_not_after(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        await relay.ledger.heard(ABLE, left=True)
        ends_at = datetime.now(UTC) + timedelta(hours=2)
        body = {"language": "bun", "tag": "till", "not_after": ends_at.isoformat()}
        job_id = await relay.running.preview("code", **body)
        await until(lambda: _is_held(relay, job_id))
        cluster.clock.ahead_s = 3600
        await relay.up(ABLE, hello(ABLE, BOTH))
        await until(lambda: relay.sent(ABLE))
        (job,) = [one for one in relay.carrier.told_to[ABLE] if isinstance(one, Job)]
        assert job.age_s >= 3600
        assert job.lives_s is not None
        assert job.lives_s - job.age_s < 3601


async def test_a_cluster_that_hands_out_what_nobody_runs_is_told_at_once(cluster: Running) -> None:
    async with relaying(cluster, Foreign) as relay:
        job_id = await relay.push()
        await until(lambda: _is_closed(relay, job_id))
    error = (await cluster.job(job_id))["result"]["error"]  # type: ignore[index] # of a failure
    assert error["name"] == "UnknownLanguage"
    assert "no agent of tag till runs the language 'bun'" in error["message"]


async def _is_closed(relay: Relay, job_id: str) -> bool:
    return (await relay.row(job_id)).get("state") == "closed"


async def test_what_was_sent_to_one_agent_is_sent_again_when_its_queue_has_lost_it(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        job_id = await relay.push()
        await until(lambda: relay.sent(ABLE) == [(job_id, 1)])
        await until(lambda: relay.is_out(job_id))
        await relay.up(ABLE, hello(ABLE, BOTH))
        assert len(relay.sent(ABLE)) == 1  # too soon: it may be on its way
        cluster.clock.ahead_s = 61
        await relay.up(ABLE, hello(ABLE, BOTH))
        await until(lambda: relay.sent(ABLE) == [(job_id, 1)] * 2)


async def test_what_lies_in_an_agents_own_queue_is_not_lost(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        job_id = await relay.push()
        await until(lambda: relay.is_out(job_id))
        relay.carrier.unread[ABLE] = 1
        await relay.lost.look(relay.carrier)
        cluster.clock.ahead_s = 1000
        await relay.lost.look(relay.carrier)
        assert (await relay.row(job_id))["attempt"] == 1
        relay.carrier.unread[ABLE] = 0
        await relay.lost.look(relay.carrier)
        assert len(relay.sent(ABLE)) == 1  # it is away
        await relay.up(ABLE, hello(ABLE, BOTH))
        await until(lambda: relay.sent(ABLE)[-1] == (job_id, 2))


async def test_it_waits_for_no_agent_that_is_away_when_another_comes(cluster: Running) -> None:
    async with relaying(cluster) as relay:
        await enrolled(relay.ledger, ABLE, "till", languages=BOTH)
        await relay.ledger.heard(ABLE, left=True)
        job_id = await relay.push()
        await until(lambda: _is_held(relay, job_id))
        other = WorkerName("ag-shop-other")
        await enrolled(relay.ledger, other, "till", languages=BOTH)
        await until(lambda: relay.sent(other) == [(job_id, 1)])
        assert not relay.sent(ABLE)
