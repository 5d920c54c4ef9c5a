"""Damage is met when a result is to leave: its job is decided anew, and the other results go."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event, State
from agent.jobs.outbox import Outbox
from agent.jobs.parts import Parts
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Message, Result

Rot = Callable[[Spool], None]


class OpenLink:
    def __init__(self) -> None:
        self.taken: list[Message] = []

    async def publish(self, _kind: str, messages: Sequence[Message]) -> None:
        self.taken += messages


def rot_row(spool: Spool) -> None:
    with closing(sqlite3.connect(spool.folder.database)) as database, database:
        database.execute("UPDATE held SET result = zeroblob(length(result)) WHERE job_id = 'rotten'")


def rot_document(spool: Spool) -> None:
    (blob,) = spool.folder.blobs.iterdir()
    blob.write_bytes(b"x" + blob.read_bytes()[1:])


@pytest.mark.parametrize(
    ("rot", "document"), [(rot_row, b"1"), (rot_document, b'"' + b"y" * BLOB_PART_BYTES + b'"')]
)
async def test_it_is_started_again_and_the_rest_is_sent(tmp_path: Path, rot: Rot, document: bytes) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    for name, text in (("rotten", document), ("sound", b"2")):
        key = (JobId(name), Attempt(1))
        job = Job(
            job_id=key[0], attempt=key[1], workspace="w", tag=Tag("t"), language="bash", code="", args=b"{}"
        )
        await book.hold(job, pack([job]))
        await book.apply(key, Event.STARTED)
        await book.finish(
            key, Event.EXITED, Result(job_id=name, attempt=1, workspace="w", success=True, document=text)
        )
    rot(spool)
    link = OpenLink()
    sending = asyncio.ensure_future(
        Outbox(book, spool, SystemClock(), link, Parts(book, spool, SystemClock())).run()
    )
    while book.backlog:
        await book.changes.newer_than(book.changes.version)
    sending.cancel()
    assert [one.job_id for one in link.taken] == ["sound"]
    assert [(job.job_id, job.state) for job in book.unfinished.started()] == [("rotten", State.STARTED)]
    assert list(book.orphans) == [("rotten", 1)]  # the runner decides: again, or never (I2)
    await spool.close()
