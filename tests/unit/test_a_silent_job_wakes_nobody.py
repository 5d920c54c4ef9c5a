"""A job's log costs nothing while the job is silent; what it writes is on disk half a second later."""

import asyncio
from random import Random

import pytest

from agent.jobs.joblog import FLUSH_CHARS, FLUSH_EVERY_S, JobLog
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId
from tests.simulation.clock import SimClock
from tests.simulation.disk import FSYNC_S, Disk, SimBlobs, SimDatabase, SimFolder
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process

KEY = (JobId("quiet"), Attempt(1))
SOON_S = FSYNC_S[1]  # one commit at most


class Job:
    """A job's log on its way to a disk, in virtual time."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        draw = Random(1)  # noqa: S311 how long a commit takes, no secret
        process = Process(self.loop, "agent")
        self._disk = Disk(MIGRATIONS, draw)
        spool = Spool(
            SimFolder(self._disk, "site"),
            SimBlobs(self._disk, process),
            SimDatabase(self._disk, process),
            SimClock(self.loop, draw),
        )
        self.log = JobLog(spool, KEY, 0, header="")
        self.flusher = self.loop.create_task(self.log.run())

    def pass_by(self, seconds: float) -> None:
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()

    def on_disk(self) -> str:
        return "".join(row["text"] for row in self._disk.rows("SELECT text FROM log_chunk ORDER BY id"))

    def must_wake_nobody(self) -> None:
        """An hour goes by in one jump: the loop makes nothing but the timer that ends it."""
        made = self.loop.numbers()
        self.pass_by(3600)
        assert self.loop.numbers() - made == 2  # the timer, and this number


@pytest.fixture
def job() -> Job:
    return Job()


def test_while_nothing_is_written_nothing_is_flushed_and_no_timer_runs(job: Job) -> None:
    job.pass_by(0)  # it has begun
    job.must_wake_nobody()
    job.log.write("some text\n")
    job.pass_by(FLUSH_EVERY_S + SOON_S)
    job.must_wake_nobody()


def test_text_is_on_disk_within_about_half_a_second(job: Job) -> None:
    job.pass_by(FLUSH_EVERY_S * 10)
    job.log.write("some ")
    job.pass_by(FLUSH_EVERY_S / 2)
    job.log.write("text\n")
    assert job.on_disk() == ""
    job.pass_by(FLUSH_EVERY_S / 2 + SOON_S)
    assert job.on_disk() == "some text\n"


def test_much_text_does_not_wait(job: Job) -> None:
    job.log.write("x" * FLUSH_CHARS)
    job.pass_by(SOON_S)
    assert job.on_disk() == "x" * FLUSH_CHARS


@pytest.mark.parametrize("text", ["", "last words\n"])
def test_its_end_is_waited_for_by_nobody(job: Job, text: str) -> None:
    job.pass_by(FLUSH_EVERY_S * 10)
    job.log.write(text)
    ended_s = job.loop.time()
    job.log.end()
    job.loop.run_until_complete(asyncio.wait_for(job.flusher, SOON_S))
    assert job.loop.time() - ended_s <= SOON_S
    assert job.on_disk() == text
