"""I6: room is returned when results have been recorded: at once in the count, and to the disk as well."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result

MB = 1024 * 1024
JOBS = 120


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    yield opened
    await opened.close()


async def finish(book: Book, name: str, size: int) -> tuple[JobId, Attempt]:
    key = (JobId(name), Attempt(1))
    job = Job(
        job_id=key[0], attempt=key[1], workspace="main", tag=Tag("t"), language="bash", code="", args=b"{}"
    )
    await book.hold(job, pack([job]))
    await book.apply(key, Event.STARTED)
    document = b'"' + os.urandom(size).hex()[:size].encode() + b'"'
    result = Result(
        job_id=key[0], attempt=key[1], workspace="main", success=True, document=document, finished_at=1.0
    )
    await book.finish(key, Event.EXITED, result)
    return key


def used(spool: Spool) -> int:
    return spool._measure().used


async def test_rows_and_documents_leave_the_count_and_the_disk(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    empty = used(spool)
    small = await asyncio.gather(*(finish(book, f"s{number}", 100_000) for number in range(JOBS)))
    large = await finish(book, "large", BLOB_PART_BYTES * 8)
    assert used(spool) > empty + JOBS * 100_000 + BLOB_PART_BYTES * 8
    file_before = spool.folder.database.stat().st_size
    await book.note_sent([*small, large])
    for key in (*small, large):
        await book.forget([key])
    assert used(spool) < empty + MB
    assert not list(spool.folder.blobs.iterdir())
    path = spool.folder.database
    await spool.close()  # what was given back leaves the file at the next checkpoint
    assert path.stat().st_size < max(file_before, JOBS * 100_000) / 2


async def test_a_document_that_a_crash_left_without_its_row_is_swept_at_start(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    await finish(book, "kept", BLOB_PART_BYTES * 2)
    (kept,) = spool.folder.blobs.iterdir()
    for orphan in ("0" * 64, f"{'1' * 64}.tmp"):
        (spool.folder.blobs / orphan).write_bytes(b"x" * MB)
    await spool.close()
    again = await Spool.open(spool.folder.path, SystemClock())
    await again.take_stock()
    assert list(again.folder.blobs.iterdir()) == [kept]
    assert MB > again.blobs.used_bytes > BLOB_PART_BYTES
    result = await again.result((JobId("kept"), Attempt(1)))
    assert result is not None
    assert await again.is_whole(result)
    await again.close()
