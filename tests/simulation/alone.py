"""One site without a link, for tests that tell one story: the real book and spool in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from agent.jobs.book import Book
from agent.jobs.model import Key
from agent.jobs.runner import Executor, Runner, Site
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job
from tests.simulation.clock import SimClock
from tests.simulation.disk import Disk, SimBlobs, SimDatabase, SimFolder
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process


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

    def runner(self, executor: Executor, slots: int = 1) -> Runner:
        return Runner(
            self.book,
            self.spool,
            executor,
            self.clock,
            slots=slots,
            site=lambda: Site("", "", "", ""),
            link_is_up=bool,
        )

    async def hold(self, name: str = "j", **about: object) -> Key:
        """Take custody of a job."""
        job = Job(
            job_id=JobId(name), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash", code="",
            args=b"{}", **about,
        )  # fmt: skip
        await self.book.hold(job, pack([job]))
        return (job.job_id, job.attempt)


def in_virtual_time(story: Callable[[VirtualSite], Awaitable[None]]) -> Callable[[], None]:
    """Makes a test of `story`."""

    def test() -> None:
        async def told() -> None:
            await story(VirtualSite(asyncio.get_running_loop()))

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(told())

    test.__name__ = story.__name__
    return test
