"""I7: a job that is accepted in the moment of its cancel is not ended behind its custodian's back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent.wire.claims import JobId, WorkerName
from agent.wire.messages import Delivery, Result
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import PingReply
from bridge.relay.watch import Watch
from tests.support.carrier import enrolled, taken
from tests.support.cluster import Running, running_cluster
from tests.support.until import until

SHOP = WorkerName("ag-shop-a")


class AcceptedMeanwhile(LocalSource):
    """The cluster as it is; while it is asked, the agent's acceptance arrives."""

    def __init__(self, running: Running, ledger: Ledger) -> None:
        super().__init__(running.cluster.jobs)
        self.ledger = ledger
        self.pings = 0
        self.ping_every_s = 0.01

    async def ping_all(self, custodies: Sequence[Custody]) -> Sequence[PingReply]:
        (custody,) = custodies
        await self.ledger.accept((custody.job_id, custody.attempt), SHOP)
        self.pings += 1
        return await super().ping_all(custodies)


@asynccontextmanager
async def watched(source: LocalSource, ledger: Ledger, running: Running) -> AsyncIterator[None]:
    recorder = Recorder(source, ledger, running.clock)
    lost = Lost(recorder, ledger, running.clock, Policies())
    watch = Watch(source, ledger, lambda: None, running.clock, lost, recorder, await Signer.load(ledger))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.run(), name="watch")
        yield
        task.cancel()


async def cancelled_and_out(running: Running, source: LocalSource, ledger: Ledger) -> JobId:
    """A job that the bridge has taken, nobody has accepted, and somebody has cancelled."""
    job_id = (await taken(running, source, ledger)).job_id
    await enrolled(ledger, SHOP, "bash")
    await running.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={"reason": "no"})
    return job_id


async def test_it_stays_with_the_agent_that_accepted_it(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger = Ledger(running.store, running.clock)
        source = AcceptedMeanwhile(running, ledger)
        job_id = await cancelled_and_out(running, source, ledger)
        async with watched(source, ledger, running):
            await until(lambda: source.pings > 2)
        (row,) = await ledger.custody()
        assert (row["custodian"], row["state"]) == (SHOP, "accepted")
        assert (await running.job(job_id))["type"] == "QueuedJob"  # its custodian says how it ends


async def test_what_nobody_has_accepted_ends_and_is_refused_to_whoever_comes(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger = Ledger(running.store, running.clock)
        source = LocalSource(running.cluster.jobs)
        job_id = await cancelled_and_out(running, source, ledger)
        (custody,) = await ledger.in_custody()
        key = (custody.job_id, custody.attempt)
        assert await ledger.refuse(key, "admin")
        assert await ledger.accept(key, SHOP) is None  # the job is still open, and its end is decided
        assert await ledger.refuse(key, "admin")  # a bridge that died here decides the same again
        async with watched(source, ledger, running):
            await until(lambda: _is_canceled(running, job_id))
        assert await ledger.accept(key, SHOP) is None


async def test_what_somebody_ended_at_the_cluster_is_over_here(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger, source = Ledger(running.store, running.clock), LocalSource(running.cluster.jobs)
        custody = await taken(running, source, ledger)
        await source.send_result(
            custody,
            Result(job_id=custody.job_id, attempt=custody.attempt, workspace="main", success=True),
            b"1",
        )
        async with watched(source, ledger, running):
            await until(lambda: _is_closed(ledger))


async def _is_closed(ledger: Ledger) -> bool:
    return [row["state"] for row in await ledger.custody()] == ["closed"]


async def test_who_holds_it_keeps_it(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger = Ledger(running.store, running.clock)
        await cancelled_and_out(running, LocalSource(running.cluster.jobs), ledger)
        (custody,) = await ledger.in_custody()
        key = (custody.job_id, custody.attempt)
        assert await ledger.accept(key, SHOP) is Delivery.AT_LEAST_ONCE
        assert not await ledger.refuse(key, "admin")
        await ledger.cancel_sent(key, "admin")
        assert await ledger.accept(key, SHOP) is Delivery.AT_LEAST_ONCE  # asked again: still its own


async def _is_canceled(running: Running, job_id: str) -> bool:
    return (
        bool((await running.job(job_id))["canceled"])
        and (await running.job(job_id))["type"] == "CompletedJob"
    )
