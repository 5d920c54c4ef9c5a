"""A bridge starts while RabbitMQ is away: what it pulled and never wrote down goes back, nobody is let in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.wire.claims import Tag, WorkerName
from bridge.broker.channel import QueueGone
from bridge.errors import BrokerDown
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.life import Relay
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from tests.support.carrier import Carrier
from tests.support.cluster import running_cluster
from tests.support.until import until

BASH = frozenset({Tag("bash")})


class NoBroker:
    def __init__(self) -> None:
        self.asked = 0

    @asynccontextmanager
    async def connect(self, _gone: QueueGone) -> AsyncIterator[Carrier]:
        self.asked += 1
        raise BrokerDown("cut")
        yield


async def test_it_goes_on_by_itself(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger, source, broker = (
            Ledger(running.store, running.clock),
            LocalSource(running.cluster.jobs),
            NoBroker(),
        )
        job_id = await running.preview(tag="bash")
        assert await source.pull(BASH) is not None
        assert await source.pull(BASH) is None
        signer = await Signer.load(ledger)
        desk, proofs = Desk(broker.connect, ledger), running.cluster.devices.require_signed
        kept = Quarantine(
            ledger, Recorder(source, ledger, running.clock), running.cluster.tokens.blacklist.holds
        )
        relay = Relay(desk, source, ledger, signer, running.clock, Policies(), kept, proofs, ready_max=1)
        task = asyncio.ensure_future(relay.run())
        await until(lambda: broker.asked > 1)
        with pytest.raises(BrokerDown, match="try again"):
            await desk.admit(WorkerName("ag-shop-a"), BASH)
        again = await source.pull(BASH)
        assert again is not None
        assert again.job_id == job_id
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
