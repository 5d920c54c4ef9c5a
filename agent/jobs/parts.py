"""Hop 5 for large documents: part by part, several on their way only where the link is long and not thin."""

import asyncio
from typing import Final

from agent.changes import Changes
from agent.clock import Clock
from agent.jobs.book import Book
from agent.jobs.pace import Window
from agent.link.link import Link
from agent.spool.spool import Spool
from agent.wire.messages import Blob, Result


class Parts:
    """One document at a time. What was learnt of the link's width outlives its lives: most are short."""

    def __init__(self, book: Book, spool: Spool, clock: Clock) -> None:
        self._book: Final = book
        self._spool: Final = spool
        self._clock: Final = clock
        self._window = Window()

    async def send(self, link: Link, result: Result, left: int) -> None:
        """The last `left` parts. Those confirmed without a gap are counted on disk: a cut costs the others.

        While its parts go, its result is finished and stays; a receipt may come, and then it is over.
        """
        sending = _Sending(result.blob_parts - left)
        async with asyncio.TaskGroup() as group:
            for index in range(sending.confirmed, result.blob_parts):
                while sending.under_way >= self._window.size:
                    await sending.moved.newer_than(sending.moved.version)
                part = b"" if sending.is_over else await self._spool.part(result, index)
                if not part:
                    return  # its receipt came in this moment, or the next look finds it damaged
                sending.under_way += 1
                group.create_task(self._send_one(link, sending, result, index, part), name="part")

    async def _send_one(
        self, link: Link, sending: "_Sending", result: Result, index: int, part: bytes
    ) -> None:
        began_s, window = self._clock.monotonic_s(), self._window
        blob = Blob(
            job_id=result.job_id,
            attempt=result.attempt,
            sha256=result.blob_sha256,
            index=index,
            of=result.blob_parts,
            part=part,
        )
        await link.publish("blob", [blob])
        self._window = self._window.after(self._clock.monotonic_s() - began_s, window.size)
        sending.confirm(index)
        left = result.blob_parts - sending.confirmed
        if not await self._book.note_parts_left((result.job_id, result.attempt), left):
            sending.is_over = True
        sending.under_way -= 1
        sending.moved.note()


class _Sending:
    """Where one document stands."""

    def __init__(self, confirmed: int) -> None:
        self.confirmed = confirmed  # so many from the first on
        self.under_way = 0
        self.is_over = False
        self.moved = Changes()
        self._beyond: set[int] = set()  # confirmed too, behind one that is not

    def confirm(self, index: int) -> None:
        self._beyond.add(index)
        while self.confirmed in self._beyond:
            self._beyond.remove(self.confirmed)
            self.confirmed += 1
