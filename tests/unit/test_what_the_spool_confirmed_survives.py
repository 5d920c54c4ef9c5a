"""The spool on a real disk: kill -9, torn files, flipped bits, a second agent, a full disk."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.database import MARK
from agent.errors import SpoolLocked, SpoolUnusable
from agent.jobs.book import Book
from agent.jobs.model import Event, State
from agent.spool.folder import Folder
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result
from tests.support.disks import fill

KEY = (JobId("j1"), Attempt(1))


def job(name: str = "j1") -> Job:
    return Job(
        job_id=JobId(name),
        attempt=Attempt(1),
        workspace="main",
        tag=Tag("t"),
        language="bash",
        code="x",
        args=b"{}",
    )


def result(document: bytes = b"1") -> Result:
    return Result(
        job_id=KEY[0], attempt=KEY[1], workspace="main", success=True, document=document, finished_at=1.0
    )


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    yield opened
    await opened.close()


async def reopened(spool: Spool) -> tuple[Spool, Book]:
    await spool.close()
    again = await Spool.open(spool.folder.path, SystemClock())
    book = Book(again, SystemClock())
    await book.load()
    return again, book


async def test_a_held_job_is_there_again_and_is_taken_once(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    assert await book.hold(job(), pack([job()]))
    assert not await book.hold(job(), pack([job()]))
    again, book = await reopened(spool)
    assert [held.state for held in book.unfinished.ready(9)] == [State.READY]
    assert await again.job(KEY) == job()
    await again.close()


async def test_a_forgotten_job_is_not_taken_again(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    await book.hold(job(), pack([job()]))
    await book.forget([KEY])
    assert not await book.hold(job(), pack([job()]))


@pytest.mark.parametrize("size", [1, BLOB_PART_BYTES + 1])
async def test_state_and_result_are_kept_in_one_commit(spool: Spool, size: int) -> None:
    book = Book(spool, SystemClock())
    await book.hold(job(), pack([job()]))
    await book.apply(KEY, Event.STARTED)
    document = b'"' + b"x" * size + b'"'
    await book.finish(KEY, Event.EXITED, result(document))
    again, book = await reopened(spool)
    (kept,) = await again.results((), 9, 9) or [await again.next_blob()]
    assert (book.held, book.backlog) == (1, 1)
    assert kept is not None
    assert kept.result is not None
    assert document == kept.result.document + b"".join(
        [await again.part(kept.result, index) for index in range(kept.result.blob_parts)]
    )
    assert not kept.result.blob_sha256 or await again.is_whole(kept.result)
    await book.forget([KEY])
    assert not list(again.folder.blobs.iterdir())
    await again.close()


async def test_no_more_results_are_read_than_one_message_takes(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    for name in ("j1", "j2", "j3"):
        await book.hold(job(name), pack([job(name)]))
        key = (JobId(name), Attempt(1))
        await book.apply(key, Event.STARTED)
        await book.finish(key, Event.EXITED, replace(result(b"1" * 1000), job_id=key[0]))
    everything = await spool.results((), 9, 10**6)
    assert len(everything) == 3
    assert len(await spool.results((), 2, 10**6)) == 2
    assert len(await spool.results((), 9, 1)) == 1  # one at least
    assert await spool.results([everything[0].row_id], 9, 10**6) == everything[1:]


async def test_a_flipped_bit_is_found_and_the_rest_goes_on(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    await book.hold(job(), pack([job()]))
    await book.hold(job("j2"), pack([job("j2")]))
    database = sqlite3.connect(spool.folder.database)
    database.execute("UPDATE held SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE job_id = 'j1'")
    database.commit()
    database.close()
    assert await spool.job(KEY) is None
    await book.set_aside(KEY, "damaged")
    assert [row[1] for row in await spool.unreported()] == ["j1"]
    assert await spool.job((JobId("j2"), Attempt(1))) == job("j2")


@pytest.mark.parametrize("damage", ["torn", "noise"])
async def test_a_destroyed_database_is_set_aside_and_the_agent_starts(spool: Spool, damage: str) -> None:
    await Book(spool, SystemClock()).hold(job(), pack([job()]))
    await spool.close()
    content = spool.folder.database.read_bytes()
    spool.folder.database.write_bytes(content[:1000] if damage == "torn" else os.urandom(len(content)))
    again = await Spool.open(spool.folder.path, SystemClock())
    assert list(again.folder.path.glob("spool.damaged-*/spool.db"))
    assert await Book(again, SystemClock()).hold(job("new"), pack([job("new")]))
    await again.close()


async def test_a_spool_of_a_newer_release_is_refused_by_name_and_left_as_it_is(spool: Spool) -> None:
    await Book(spool, SystemClock()).hold(job(), pack([job()]))
    await spool.close()
    database = sqlite3.connect(spool.folder.database)
    database.executescript(f"PRAGMA user_version = 9; PRAGMA application_id = {MARK + 9}")
    database.close()
    with pytest.raises(SpoolUnusable, match="install the newer release again"):
        await Spool.open(spool.folder.path, SystemClock())
    assert not list(spool.folder.path.glob("spool.damaged-*"))


async def test_a_second_agent_is_refused_by_name(spool: Spool) -> None:
    with pytest.raises(SpoolLocked, match=f"another agent \\(pid {os.getpid()}\\)"):
        await Spool.open(spool.folder.path, SystemClock())


async def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="name another folder with --spool"):
        await Spool.open(tmp_path / "file" / "spool", SystemClock())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a tmpfs")
def test_a_full_disk_is_refused_by_name(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], check=True)
    try:
        (tmp_path / "filler").write_bytes(b"x" * 60_000)
        with pytest.raises(SpoolUnusable, match="is full"):
            Folder(tmp_path / "spool")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.mark.parametrize("free_kb", [0, 4, 16, 64, 128, 160, 192])
async def test_a_full_disk_is_no_damage(small_disk: Path, free_kb: int) -> None:
    """Whatever little room is left, the spool is refused or opened, and never set aside."""
    spool = await Spool.open(small_disk / "spool", SystemClock())
    await Book(spool, SystemClock()).hold(job(), pack([job()]))
    await spool.close()
    fill(small_disk / "filler", free_kb * 1024)
    try:
        await (await Spool.open(small_disk / "spool", SystemClock())).close()
    except SpoolUnusable as error:
        assert "is full" in str(error)  # noqa: PT017 to open is right as well, when there is just room enough
    assert not list(spool.folder.path.glob("spool.damaged-*"))
    (small_disk / "filler").unlink()
    again = await Spool.open(small_disk / "spool", SystemClock())
    assert await again.job((job().job_id, job().attempt)) == job()
    await again.close()


HOLDER = """
import asyncio, sys
from pathlib import Path
from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.spool.spool import Spool
from agent.wire.envelope import pack
from agent.wire.messages import Job

async def main():
    spool = await Spool.open(Path(sys.argv[1]), SystemClock())
    book = Book(spool, SystemClock())
    for number in range(10**6):
        name = f"j{number}"
        job = Job(job_id=name, attempt=1, workspace="w", tag="t", language="bash", code="", args=b"{}")
        await book.hold(job, pack([job]))
        print(number, flush=True)

asyncio.run(main())
"""


def hold_until_killed(folder: Path) -> int:
    """How many jobs the holder said it holds before it was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        confirmed = [holder.stdout.readline() for _ in range(50)]
        holder.send_signal(signal.SIGKILL)
        confirmed += [line for line in holder.stdout if line.endswith("\n")]
    return len(confirmed)


async def test_kill_9_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    confirmed = await asyncio.to_thread(hold_until_killed, tmp_path)
    spool = await Spool.open(tmp_path, SystemClock())
    held = {row.job_id for row in await spool.open_rows()}
    assert {f"j{number}" for number in range(confirmed)} <= held  # I3
    await spool.close()
