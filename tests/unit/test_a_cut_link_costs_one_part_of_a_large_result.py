"""Parts of a document are counted on disk as they are confirmed, also across a restart of the agent."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.jobs.outbox import Outbox
from agent.jobs.parts import Parts
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Blob, Job, Message, Result

PARTS = 7


class FlickeringLink:
    """Takes `lives_for` parts and is then gone: what it was given last may or may not have arrived."""

    def __init__(self, lives_for: int) -> None:
        self.taken: list[Message] = []
        self._left = lives_for

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        self.taken += messages
        if kind == "blob":
            self._left -= 1
        if self._left < 0:
            raise LinkDown("cut")


async def finish(book: Book, name: str, document: bytes) -> None:
    key = (JobId(name), Attempt(1))
    job = Job(
        job_id=key[0], attempt=key[1], workspace="main", tag=Tag("t"), language="bash", code="x", args=b"{}"
    )
    await book.hold(job, pack([job]))
    await book.apply(key, Event.STARTED)
    result = Result(job_id=key[0], attempt=key[1], workspace="main", success=True, document=document)
    await book.finish(key, Event.EXITED, result)


async def live_once(folder: Path, lives_for: int) -> list[Message]:
    """One life of the agent and of its link; what it published."""
    spool = await Spool.open(folder, SystemClock())
    book = Book(spool, SystemClock())
    await book.load()
    link = FlickeringLink(lives_for)
    sending = asyncio.ensure_future(
        Outbox(book, spool, SystemClock(), link, Parts(book, spool, SystemClock())).run()
    )
    while book.backlog and not sending.done():
        changed = asyncio.ensure_future(book.changes.newer_than(book.changes.version))
        await asyncio.wait((sending, changed), return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
    sending.cancel()
    await asyncio.wait([sending])
    await spool.close()
    return link.taken


@pytest.mark.parametrize("lives_for", [1, 2, 3])
async def test_every_life_goes_on_where_the_last_one_was_cut(tmp_path: Path, lives_for: int) -> None:
    document = b"".join(bytes([65 + number]) * BLOB_PART_BYTES for number in range(PARTS))
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await finish(book, "large", document)
    await finish(book, "small", b"1")
    await spool.close()
    lives = []
    while not lives or not any(isinstance(one, Result) and one.job_id == "large" for one in lives[-1]):
        lives.append(await live_once(tmp_path, lives_for))
    parts = [one for life in lives for one in life if isinstance(one, Blob)]
    cuts = len(lives) - 1
    assert cuts == (PARTS - 1) // lives_for
    assert len(parts) == PARTS + cuts  # the one that was not confirmed, and no other
    whole = {one.index: one.part for one in parts}
    assert b"".join(whole[index] for index in range(PARTS)) == document
    assert any(isinstance(one, Result) and one.job_id == "small" for one in lives[0])  # it waited for nobody
