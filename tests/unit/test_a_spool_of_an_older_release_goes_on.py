"""What the first release kept is opened, brought to the newest schema, and sent: large documents as well."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from agent.clock import SystemClock
from agent.database import MARK
from agent.jobs.book import Book
from agent.jobs.outbox import Outbox
from agent.jobs.parts import Parts
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Blob, Job, Message, Result

LARGE = b'"' + b"x" * 2 * BLOB_PART_BYTES + b'"'
RESULT = Result(job_id=JobId("small"), attempt=Attempt(1), workspace="w", success=True, document=b"1")


class OpenLink:
    def __init__(self) -> None:
        self.taken: list[Message] = []

    async def publish(self, _kind: str, messages: Sequence[Message]) -> None:
        self.taken += messages


def old_spool(folder: Path) -> None:
    """A job to run, a small result and a large one, as the first release wrote them."""
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / hashlib.sha256(b"large/1").hexdigest()).write_bytes(LARGE)
    sha256 = hashlib.sha256(LARGE).hexdigest()
    large = replace(RESULT, job_id=JobId("large"), document=b"", blob_sha256=sha256, blob_parts=3)
    with closing(sqlite3.connect(folder / "spool.db")) as database, database:
        database.executescript(MIGRATIONS[0])
        database.execute("PRAGMA user_version = 1")
        database.execute(f"PRAGMA application_id = {MARK + 1}")
        for name, state, result in (
            ("ready", "ready", None),
            ("small", "finished", RESULT),
            ("large", "finished", large),
        ):
            job = Job(
                job_id=JobId(name), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash", code="",
                args=b"{}",
            )  # fmt: skip
            packed = None if result is None else pack([result])
            database.execute(
                "INSERT INTO held (job_id, attempt, tag, state, delivery, max_interruptions, held_at, body,"
                " body_crc, accepted_sent, finished_at, result, result_crc)"
                " VALUES (?, 1, 't', ?, 'at_least_once', 3, 1.0, ?, ?, 1, 2.0, ?, ?)",
                (name, state, pack([job]), crc32(pack([job])), packed, packed and crc32(packed)),
            )


async def test_its_jobs_run_and_its_results_leave(tmp_path: Path) -> None:
    old_spool(tmp_path)
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await book.load()
    assert [job.job_id for job in book.unfinished.ready(9)] == ["ready"]
    assert (book.held, book.backlog) == (3, 2)
    link = OpenLink()
    sending = asyncio.ensure_future(
        Outbox(book, spool, SystemClock(), link, Parts(book, spool, SystemClock())).run()
    )
    while book.backlog:
        await book.changes.newer_than(book.changes.version)
    sending.cancel()
    assert {one.job_id for one in link.taken if isinstance(one, Result)} == {"small", "large"}
    assert b"".join(one.part for one in link.taken if isinstance(one, Blob)) == LARGE
    assert not await book.missing([(JobId(name), Attempt(1)) for name in ("ready", "small", "large")])
    await spool.close()
