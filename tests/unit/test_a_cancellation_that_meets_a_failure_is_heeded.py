"""Who stops leading while its session is ending for another reason stops all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.broker.channel import QueueGone
from bridge.errors import BrokerDown
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from tests.support.carrier import Carrier
from tests.support.cluster import running_cluster

SOON_S = 10.0


@asynccontextmanager
async def connected(_gone: QueueGone) -> AsyncIterator[Carrier]:
    yield Carrier()


class Session:
    """It fails, and one part of it takes its time to end."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.may_end = asyncio.Event()
        self.again = asyncio.Event()
        self.begun = 0

    async def __call__(self, _broker: Carrier, up: Callable[[], None]) -> None:
        self.begun += 1
        up()
        if self.begun > 1:
            self.again.set()
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._slow())
            group.create_task(self._fails())

    async def _slow(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await self.may_end.wait()

    async def _fails(self) -> None:
        await asyncio.sleep(0)
        raise BrokerDown("cut")


async def test_the_desk_ends(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        session = Session()
        desk = Desk(connected, Ledger(running.store, running.clock))
        task = asyncio.ensure_future(desk.sessions(session))
        async with asyncio.timeout(SOON_S):
            await session.ending.wait()
        task.cancel()
        await asyncio.sleep(0)
        session.may_end.set()
        await asyncio.wait([task], timeout=SOON_S)
        assert task.cancelled()
        assert session.begun == 1


async def test_the_desk_goes_on_after_a_failure_alone(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        session = Session()
        session.may_end.set()
        desk = Desk(connected, Ledger(running.store, running.clock))
        task = asyncio.ensure_future(desk.sessions(session))
        async with asyncio.timeout(SOON_S):
            await session.again.wait()
        task.cancel()
        await asyncio.wait([task], timeout=SOON_S)
        assert task.cancelled()
