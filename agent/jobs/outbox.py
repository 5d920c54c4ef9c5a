"""Hop 5: finished results leave, many in one message, while the confirms of earlier ones are awaited."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.jobs.book import Book
from agent.jobs.pace import Pace
from agent.jobs.parts import Parts
from agent.link.link import Link
from agent.spool.rows import Kept
from agent.spool.spool import Spool

log = structlog.get_logger()

BATCH_MAX: Final = 1000  # results in one message


class Outbox:
    """One life of the link. The order does not matter: each result is taken once, however often it comes."""

    def __init__(self, book: Book, spool: Spool, clock: Clock, link: Link, parts: Parts) -> None:
        self._book = book
        self._spool = spool
        self._clock = clock
        self._link = link
        self._parts = parts
        self._pace = Pace()
        self._batches = 0  # in flight
        self._in_flight: set[int] = set()  # the rows in them

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_results(group), name="results")
            group.create_task(self._send_blobs(), name="blobs")

    async def all_under_way(self) -> None:
        """Returns when every result that is finished has been handed to the link."""
        while self._book.backlog > len(self._in_flight):
            await self._book.changes.newer_than(self._book.changes.version)

    async def _send_results(self, group: asyncio.TaskGroup) -> None:
        while True:
            version = self._book.changes.version
            batch: list[Kept] = []
            if self._batches < self._pace.batches:
                batch = await self._book.results(self._in_flight, BATCH_MAX, self._pace.batch_bytes)
            if not batch:
                await self._book.changes.newer_than(version)  # a confirm is a change too
                continue
            ready = [kept for kept in batch if await self._may_leave(kept)]
            if ready:
                self._batches += 1
                self._in_flight.update(kept.row_id for kept in ready)
                group.create_task(self._send_batch(ready), name="batch")

    async def _send_batch(self, batch: Sequence[Kept]) -> None:
        began_s = self._clock.monotonic_s()
        results = [self._book.dated(kept.result) for kept in batch if kept.result is not None]
        await self._link.publish("result", results)
        self._pace = self._pace.after(self._clock.monotonic_s() - began_s)
        await self._book.note_sent([kept.key for kept in batch])  # only now: the broker holds them
        self._batches -= 1
        self._in_flight.difference_update(kept.row_id for kept in batch)
        self._book.changes.note()

    async def _may_leave(self, kept: Kept) -> bool:
        """Damage is met here, and not at a start that would have to read everything."""
        if kept.result is None:
            await self._book.redo(kept.key)
            return False
        if kept.result.blob_sha256 and kept.parts_left < 0:  # kept by a release that did not count
            await self._book.note_parts_left(kept.key, kept.result.blob_parts)
            return False
        return True

    async def _send_blobs(self) -> None:
        """Large documents, one at a time. A result joins the others when its last part is confirmed."""
        while True:
            version = self._book.changes.version
            kept = await self._spool.next_blob() if self._book.backlog else None
            if kept is None:
                await self._book.changes.newer_than(version)
            elif kept.result is None or not await self._spool.is_whole(kept.result):
                await self._book.redo(kept.key)
            else:
                await self._parts.send(self._link, kept.result, kept.parts_left)
