"""I3 on a real file system: its power is cut in mid-write, and what was confirmed is there afterwards."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId
from dev_tools.places import ROOT
from tests.support.disks import LoopDisk, loop_disk, needs_root
from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = needs_root

WRITER = """
import asyncio, sys
from pathlib import Path
from agent.clock import SystemClock
from agent.database import WriteFailed
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.spool.spool import Spool
from agent.wire.envelope import pack
from agent.wire.messages import Job, Result

async def one(book, number):
    name, key = f"j{number}", (f"j{number}", 1)
    job = Job(job_id=name, attempt=1, workspace="w", tag="t", language="bash", code="", args=b"{}")
    await book.hold(job, pack([job]))
    await book.apply(key, Event.STARTED)
    document = b'"' + b"x" * (200_000 if number % 5 == 0 else 10) + b'"'
    result = Result(job_id=name, attempt=1, workspace="w", success=True, document=document, finished_at=1.0)
    await book.finish(key, Event.EXITED, result)
    print(number, flush=True)

async def main():
    spool = await Spool.open(Path(sys.argv[1]), SystemClock())
    book = Book(spool, SystemClock())
    for number in range(0, 10**6, 4):
        try:
            await asyncio.gather(*(one(book, number + more) for more in range(4)))
        except (WriteFailed, OSError):
            return

asyncio.run(main())
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 96) as disk:
        yield disk


def confirmed_before_the_cut(disk: LoopDisk, lines: int) -> list[int]:
    """The numbers of the jobs of which the writer said that their results are kept."""
    command = [sys.executable, "-c", WRITER, str(disk.folder / "spool")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.send_signal(signal.SIGSTOP)  # see `shut_down`
        disk.cut_power()
        writer.kill()
        said += [line for line in writer.stdout if line.endswith("\n")]
        writer.wait(20)
    return [int(line) for line in said]


@pytest.mark.parametrize("lines", [1, 7, 40, 150])
async def test_every_confirmed_result_is_there(disk: LoopDisk, lines: int) -> None:
    confirmed = await asyncio.to_thread(confirmed_before_the_cut, disk, lines)
    disk.put_back()
    spool = await Spool.open(disk.folder / "spool", SystemClock())
    assert not list(spool.folder.path.glob("spool.damaged-*"))
    for number in confirmed:
        key = (JobId(f"j{number}"), Attempt(1))
        assert await spool.states([key]) == {key: "finished"}
        result = await spool.result(key)
        assert result is not None
        assert await spool.is_whole(result) if result.blob_sha256 else result.document
    assert len(confirmed) >= lines
    await spool.close()


@pytest.mark.broker
async def test_every_job_of_a_running_agent_is_recorded_once(
    world: World, disk: LoopDisk, tmp_path: Path
) -> None:
    agent = world.site("bash", slots=2)
    agent.spool.symlink_to(disk.folder / "spool", target_is_directory=True)
    (disk.folder / "spool").mkdir()
    await agent.start()
    world.cut()  # results pile up in the spool
    await until(lambda: agent.links("down"))
    world.restore()
    await agent.linked(2)
    trace = tmp_path / "trace"
    jobs = [world.cluster.submit(f"sleep 0.3; echo {n} >> {trace}; echo {n}", "bash") for n in range(20)]
    await until(lambda: trace.exists() and len(trace.read_text().split()) >= 5, within_s=60)
    agent.process.signal(signal.SIGSTOP)  # see `shut_down`
    disk.cut_power()
    agent.kill()
    disk.put_back()
    agent.launch()
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in jobs] == [str(n) for n in range(20)]
    assert all(row["outcome"] == "success" for row in world.cluster.custody())
    assert len(trace.read_text().split()) <= len(jobs) + 2  # what ran in both slots ran once more
