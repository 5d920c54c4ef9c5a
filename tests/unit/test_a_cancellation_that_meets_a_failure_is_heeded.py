"""Who is told to stop while its session is ending for another reason stops all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.jobs.book import Book
from agent.life import Life
from agent.link.link import Enrolment, LinkKind
from agent.spool.spool import Spool
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


class Line:
    """A link that takes the greeting, and whose waiter takes its time to end."""

    blocked = ""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.may_end = asyncio.Event()

    async def publish(self, _kind: str, _messages: object) -> None: ...

    async def blocked_changed(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.ending.set()
            await self.may_end.wait()


async def test_an_agent_ends(tmp_path: Path) -> None:
    """Its stop comes while its link is ending for another reason."""
    line, spool = Line(), await Spool.open(tmp_path / "spool", SystemClock())

    async def one_life(_link: object, _enrolment: object) -> None:
        await asyncio.sleep(0)
        raise LinkDown("cut")

    async def enrolled(_suffix: str, _about: object) -> Enrolment:
        return Enrolment(worker="w", worker_group="g", tags=(), shared_tags=(), link=LinkKind.AMQP)

    @asynccontextmanager
    async def linked(_enrolment: Enrolment) -> AsyncIterator[Any]:
        yield line

    book = Book(spool, SystemClock())
    life = Life(spool, book, SystemClock(), enrol=enrolled, connect=linked, slots=1)
    task = asyncio.ensure_future(life.run(one_life))
    async with asyncio.timeout(SOON_S):
        await line.ending.wait()
    task.cancel()
    await asyncio.sleep(0)
    line.may_end.set()
    await asyncio.wait([task], timeout=SOON_S)
    assert task.cancelled()
    await spool.close()
