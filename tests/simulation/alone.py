"""One site without a link, for tests that tell one story: the real book and spool in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from agent.errors import LinkDown
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.jobs.book import Book
from agent.jobs.control import Control, RejectOnce
from agent.jobs.inquiry import Inquiry
from agent.jobs.model import Event, Key
from agent.jobs.runner import Executor, Runner, Site
from agent.jobs.told import Told
from agent.jobs.wishes import Wishes
from agent.policy import Policy
from agent.spool.budget import Bounds
from agent.spool.room import Room
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Message, Result
from tests.simulation.clock import SimClock
from tests.simulation.disk import Disk, SimBlobs, SimDatabase, SimFolder
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process

YEAR_S: Final = 365 * 86_400.0  # a story that goes on for longer waits for what never comes


class Prompt:
    """Each job ends at once; its document has so many bytes."""

    def __init__(self, size: int = 1) -> None:
        self.ran: list[str] = []
        self.stops: list[Stop] = []
        self._size = size

    async def run(self, task: Task, _sink: Sink, stop: Stop) -> Outcome:
        self.ran.append(task.job_id)
        self.stops.append(stop)
        return Outcome(success=True, result=b"1" * self._size, duration_ms=1)


class OpenLink:
    vouches = False

    def __init__(self) -> None:
        self.sent: list[list[Message]] = []
        self.is_down = False

    async def open_tag(self, _tag: Tag, _prefetch: int) -> None: ...

    async def close_tag(self, _tag: Tag) -> None: ...

    async def next_job(self) -> "Delivery":
        return await asyncio.get_running_loop().create_future()

    async def publish(self, _kind: str, messages: Sequence[Message]) -> None:
        if self.is_down:
            raise LinkDown("cut")
        self.sent.append(list(messages))

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for messages in self.sent for message in messages if isinstance(message, kind)]


class Delivery:
    content_encoding = None

    def __init__(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.body = body
        self.headers = headers or {}
        self.acked = False

    async def ack(self) -> None:
        self.acked = True


async def takes_none(_job: Job, _delivery: object) -> None:
    raise AssertionError("no job was to come by the control queue")


class VirtualSite:
    def __init__(self, loop: VirtualLoop) -> None:
        draw = Random(0)  # noqa: S311 the same times in every run, no secret
        process = Process(loop, "site")
        self.loop = loop
        self.disk = Disk(MIGRATIONS, draw)
        self.clock = SimClock(loop, draw)
        self.spool = Spool(
            SimFolder(self.disk, "site"),
            SimBlobs(self.disk, process),
            SimDatabase(self.disk, process),
            self.clock,
        )
        self.book = Book(self.spool, self.clock)

    def allow(self, quota_bytes: int) -> None:
        """What the operator lets the spool use; it uses as much as `spool.work_bytes` says."""
        self.spool.room = Room(
            Bounds(quota_bytes=quota_bytes), self.spool._measure, self.spool.folder.note_room
        )

    def runner(self, executor: Executor, slots: int = 1, policy: Policy | None = None) -> Runner:
        return Runner(
            self.book,
            self.spool,
            executor,
            self.clock,
            slots=slots,
            site=lambda: Site("", "", "", ""),
            link_is_up=bool,
            why_not=(policy or Policy()).why_not,
        )

    def control(self, runner: Runner, link: OpenLink, told: Told, reject_once: RejectOnce) -> Control:
        inquiry = Inquiry(self.book, self.spool, self.clock)
        return Control(
            self.book, self.spool, runner, link, inquiry, told, reject_once, self.wishes(), takes_none
        )

    def wishes(self) -> Wishes:
        return Wishes(self.spool, self.clock, self.book.changes)

    async def hold(self, name: str = "j", **about: object) -> Key:
        """Take custody of a job."""
        job = Job(
            job_id=JobId(name), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash", code="",
            args=b"{}", **about,
        )  # fmt: skip
        await self.book.hold(job, pack([job]))
        return (job.job_id, job.attempt)

    async def finish(self, name: str, document: bytes = b"1", **about: object) -> Key:
        """Take custody of a job and keep its result."""
        key = await self.hold(name, **about)
        await self.book.apply(key, Event.STARTED)
        result = Result(job_id=key[0], attempt=key[1], workspace="w", success=True, document=document)
        await self.book.finish(key, Event.EXITED, result)
        return key

    async def kept(self, key: Key) -> Result:
        """Its result, once it has one."""
        while (result := await self.spool.result(key)) is None:
            await self.book.changes.newer_than(self.book.changes.version)
        return result


def in_virtual_time(story: Callable[[VirtualSite], Awaitable[None]]) -> Callable[[], None]:
    """Makes a test of `story`."""

    def test() -> None:
        async def told() -> None:
            async with asyncio.timeout(YEAR_S):
                await story(VirtualSite(asyncio.get_running_loop()))

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(told())

    test.__name__ = story.__name__
    return test
