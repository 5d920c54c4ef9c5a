"""The task of a dying link is cancelled while the disk commits: what is on disk then, memory knows (I1)."""

import asyncio
import sqlite3
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Result
from tests.support.until import until

KEY = (JobId("j"), Attempt(1))
JOB = Job(job_id=KEY[0], attempt=KEY[1], workspace="w", tag=Tag("t"), language="bash", code="", args=b"{}")
RESULT = Result(job_id=KEY[0], attempt=KEY[1], workspace="w", success=True, document=b"1")


async def cut_off(book: Book, database: Path, work: Coroutine[Any, Any, object]) -> None:
    """Begun, and cancelled while the disk keeps its writer waiting."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.ensure_future(work)
        await until(lambda: book.in_hand)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other.execute("ROLLBACK")


async def test_a_job_taken_in_that_moment_runs(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await cut_off(book, spool.folder.database, book.hold(JOB, pack([JOB])))
    assert not await book.hold(JOB, pack([JOB]))  # it comes again: it is here
    assert [job.key for job in book.unfinished.ready(9)] == [KEY]
    await spool.close()


async def test_a_result_kept_in_that_moment_is_counted_and_leaves(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await book.hold(JOB, pack([JOB]))
    await cut_off(book, spool.folder.database, book.finish(KEY, Event.CANCELLED, RESULT))
    await book.changes.newer_than(1)
    assert (book.held, book.backlog) == (1, 1)
    assert [kept.key for kept in await book.results((), 9, 9)] == [KEY]
    await spool.close()
