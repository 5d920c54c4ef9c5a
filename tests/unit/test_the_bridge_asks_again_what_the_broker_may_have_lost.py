"""I1, I7: custodians are asked now and then for what they should hold, and told of cancels once more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.wire.claims import WorkerName
from agent.wire.messages import Check
from bridge.relay.ledger import Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.relay.watch import CHECK_EVERY_S, Watch
from tests.support.carrier import Carrier, enrolled, taken
from tests.support.cluster import Running, running_cluster
from tests.support.until import until

SHOP = WorkerName("ag-shop-a")


class QuickSource(LocalSource):
    ping_every_s = 0.01


class Session:
    """What the bridge has for a broker; each look asks for it."""

    def __init__(self, carrier: Carrier | None) -> None:
        self.carrier = carrier
        self.looks = 0

    def now(self) -> Carrier | None:
        self.looks += 1
        return self.carrier


@asynccontextmanager
async def looked_after(running: Running, session: Session) -> AsyncIterator[Ledger]:
    """The shop holds a job, and somebody has cancelled it."""
    ledger, source = Ledger(running.store, running.clock), QuickSource(running.cluster.jobs)
    await enrolled(ledger, SHOP, "bash")
    custody = await taken(running, source, ledger)
    key = (custody.job_id, custody.attempt)
    await ledger.accept(key, SHOP)
    await ledger.cancel_sent(key, "ana")
    recorder = Recorder(source, ledger, running.clock)
    lost = Lost(recorder, ledger, running.clock, Policies())
    watch = Watch(source, ledger, session.now, running.clock, lost, recorder, await Signer.load(ledger))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.run(), name="watch")
        await until(lambda: session.looks)
        yield ledger
        task.cancel()


async def hours_pass(running: Running, ledger: Ledger) -> None:
    running.clock.ahead_s += CHECK_EVERY_S + 1
    await ledger.heard(SHOP, held=1)


async def _is_untold(ledger: Ledger) -> bool:
    (custody,) = await ledger.in_custody()
    return custody.cancel_sent is None


async def test_who_is_there_is_asked_for_its_jobs_and_told_the_cancels_anew(tmp_path: Path) -> None:
    carrier = Carrier()
    async with running_cluster(tmp_path) as running, looked_after(running, Session(carrier)) as ledger:
        await hours_pass(running, ledger)
        await until(lambda: carrier.told)
        (custody,) = await ledger.in_custody()
        assert carrier.told == [Check(job_id=custody.job_id, attempt=custody.attempt)]
        await until(lambda: _is_untold(ledger))


@pytest.mark.parametrize("there", [True, False])
async def test_while_the_broker_is_down_nobody_is_asked_and_all_else_goes_on(
    tmp_path: Path, *, there: bool
) -> None:
    carrier = Carrier()
    carrier.is_down = True
    session = Session(carrier if there else None)
    async with running_cluster(tmp_path) as running, looked_after(running, session) as ledger:
        await hours_pass(running, ledger)
        looks = session.looks
        await until(lambda: session.looks > looks + 3)
        assert carrier.told == []
        assert not await _is_untold(ledger)
