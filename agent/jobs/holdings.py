"""What a link over HTTP asks of custody: the jobs in the spool, by name."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from agent.jobs.book import Book
from agent.jobs.model import Key
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId
from agent.wire.messages import Job, Result

NULL = b"null"


class SpoolHoldings:
    """Implements `link.http.holdings.Holdings`."""

    def __init__(self, spool: Spool, book: Book) -> None:
        self._spool = spool
        self._book = book

    @property
    def version(self) -> int:
        return self._book.changes.version

    async def newer_than(self, version: int) -> None:
        await self._book.changes.newer_than(version)

    async def keys(self) -> list[Key]:
        if self._book.in_hand:  # a job that is being spooled now is in custody too
            await asyncio.wait(set(self._book.in_hand))
        return await self._spool.keys.all()

    async def ungranted(self) -> list[Key]:
        return list(self._book.unfinished.waiting())

    async def sent(self) -> list[Result]:
        found = [await self._spool.result(key) for key in await self._spool.keys.sent()]
        return [result for result in found if result is not None]

    async def ended(self) -> list[Key]:
        return [*await self._spool.keys.finished(), *await self._spool.keys.sent()]

    async def result(self, key: Key) -> Result | None:
        return await self._spool.result(key)

    async def let_go(self, keys: Sequence[Key]) -> None:
        await self._book.forget(keys)

    async def with_log(self) -> set[Key]:
        return await self._spool.keys.with_log()

    async def job(self, key: Key) -> Job | None:
        return await self._spool.job(key)

    async def document(self, result: Result) -> AsyncIterator[bytes]:
        if not result.blob_sha256:
            yield result.document or NULL
            return
        for index in range(result.blob_parts):
            yield await self._spool.part(result, index)

    async def last_attempt(self, job_id: JobId) -> tuple[Attempt, bool]:
        return await self._spool.keys.last_attempt(job_id)

    async def get_note(self, name: str) -> str:
        return await self._spool.get_meta(name) or ""

    async def set_note(self, name: str, text: str) -> None:
        await self._spool.set_meta(name, text)
