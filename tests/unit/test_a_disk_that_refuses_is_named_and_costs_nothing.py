"""I3, I6: a disk that takes nothing more, and later does again, under a real spool."""

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.database import ReadFailed, WriteFailed
from agent.errors import SpoolGone, SpoolUnusable
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.spool.folder import PROBE_BYTES, Folder
from agent.spool.recovery import UNFINISHED, open_database
from agent.spool.spool import MIGRATIONS, Spool
from agent.spool.watch import Watch
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result
from tests.support.disks import files_limited_to

KEY = (JobId("j"), Attempt(1))
SMALL = PROBE_BYTES // 2
DOCUMENT = b'"' + b"x" * BLOB_PART_BYTES + b'"'
RESULT = Result(job_id=KEY[0], attempt=KEY[1], workspace="w", success=True, document=DOCUMENT)


def job(code: str = "") -> Job:
    return Job(
        job_id=KEY[0], attempt=KEY[1], workspace="w", tag=Tag("t"), language="bash", code=code, args=b"{}"
    )


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    """It holds a job larger than what a refusing disk takes, so that every commit is beyond that."""
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    large = job("x" * 2 * PROBE_BYTES)
    await Book(opened, SystemClock()).hold(large, pack([large]))
    yield opened
    await opened.close()


async def test_nothing_is_taken_until_it_takes_writes_again(spool: Spool) -> None:
    watch = Watch(spool)
    assert await spool.is_writable()
    with files_limited_to(SMALL):
        with pytest.raises(WriteFailed):
            await spool.set_meta("a", "b")
        for _ in range(2):
            await watch.look()
            assert "File too large" in spool.room.fault
            assert not spool.has_room()
    await watch.look()
    assert spool.room.fault == ""
    assert spool.has_room()


async def test_a_spool_in_a_new_mount_is_used_on(spool: Spool) -> None:
    aside = spool.folder.path.with_name("unplugged")
    spool.folder.path.rename(aside)
    shutil.copytree(aside, spool.folder.path)
    with pytest.raises(WriteFailed):
        await spool.set_meta("a", "b")
    await Watch(spool).look()
    await spool.set_meta("a", "b")
    assert spool.room.fault == ""
    assert await spool.job(KEY)


async def test_a_deleted_database_ends_the_watch_by_name(spool: Spool) -> None:
    spool.folder.database.unlink()
    with pytest.raises(SpoolGone, match="was deleted"):
        await Watch(spool).look()


async def test_half_a_document_is_not_left_behind(spool: Spool) -> None:
    with files_limited_to(SMALL), pytest.raises(OSError, match="too large"):
        await spool.finish(KEY, "finished", RESULT)
    assert list(spool.folder.blobs.iterdir()) == []
    assert spool.blobs.used_bytes == 0


async def test_a_document_that_cannot_be_read_is_gone_only_where_the_rest_of_the_disk_works(
    spool: Spool,
) -> None:
    book = Book(spool, SystemClock())
    await book.load()
    await book.apply(KEY, Event.STARTED)
    await book.finish(KEY, Event.EXITED, RESULT)
    result = await spool.result(KEY)
    assert result is not None
    assert await spool.is_whole(result)
    (document,) = spool.folder.blobs.iterdir()
    document.unlink()
    assert not await spool.is_whole(result)
    assert await spool.part(result, 0) == b""
    document.mkdir()  # to read it is an error, as a bad sector is
    assert not await spool.is_whole(result)
    assert await spool.part(result, 0) == b""
    with files_limited_to(SMALL):
        with pytest.raises(ReadFailed):
            await spool.is_whole(result)
        with pytest.raises(ReadFailed):
            await spool.part(result, 0)


@pytest.mark.parametrize(("limit", "damaged"), [(0, False), (SMALL, True), (2 * PROBE_BYTES, True)])
async def test_a_start_that_the_disk_refuses_leaves_all_as_it_was(
    spool: Spool, limit: int, *, damaged: bool
) -> None:
    """Refused are: to open it; to begin a new one in place of a damaged one; to carry the job over."""
    await spool.close()
    folder = Folder(spool.folder.path)
    before = folder.database.read_bytes()
    with files_limited_to(limit), pytest.raises(SpoolUnusable):
        await open_database(folder, MIGRATIONS, damaged=damaged)
    folder.release()
    assert folder.database.read_bytes() == before
    assert not list(folder.path.glob("spool.damaged-*"))
    again = await Spool.open(folder.path, SystemClock())
    assert await again.job(KEY)
    await again.close()


async def test_what_was_found_damaged_while_it_was_used_is_carried_over(spool: Spool) -> None:
    await spool.close()
    again = await Spool.open(spool.folder.path, SystemClock(), damaged=True)
    assert await again.job(KEY)
    assert len(list(again.folder.path.glob("spool.damaged-*/spool.db"))) == 1
    await again.close()


@pytest.mark.parametrize("moved", [True, False])
async def test_a_start_that_was_cut_off_while_it_carried_rows_over_is_gone_on_with(
    spool: Spool, *, moved: bool
) -> None:
    """The old database was aside already, and the new one half made; or it was not yet."""
    await spool.close()
    aside = spool.folder.path / UNFINISHED
    aside.mkdir()
    if moved:
        spool.folder.database.replace(aside / spool.folder.database.name)
        spool.folder.database.write_bytes(b"half made")
    again = await Spool.open(spool.folder.path, SystemClock())
    assert await again.job(KEY)
    assert not aside.exists()
    assert len(list(again.folder.path.glob("spool.damaged-*/spool.db"))) == 1
    await again.close()


async def test_a_database_of_which_nothing_is_left_is_begun_anew(spool: Spool) -> None:
    await spool.close()
    spool.folder.database.unlink()
    again = await Spool.open(spool.folder.path, SystemClock(), damaged=True)
    assert await again.open_rows() == []
    await again.close()


async def test_a_log_cut_off_under_a_reader_is_damage_and_no_refusal(spool: Spool) -> None:
    """SQLite calls both an I/O error. The commits of an agent that was killed are still in the log."""
    with closing(sqlite3.connect(spool.folder.database)) as reader:
        reader.execute("SELECT count(*) FROM held").fetchone()
        os.truncate(f"{spool.folder.database}-wal", 4096)
        database = await open_database(spool.folder, MIGRATIONS, damaged=False)
    assert len(list(spool.folder.path.glob("spool.damaged-*/spool.db"))) == 1
    await database.close()
