"""Hops 5 and 6: what the spool holds for the bridge goes up; results before events before logs."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.jobs.book import Book
from agent.jobs.model import Held, State
from agent.link.link import Link
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId
from agent.wire.envelope import BLOB_PART_BYTES
from agent.wire.messages import Accepted, Blob, Log, Message, Ping, Rejected, Result, Started

log = structlog.get_logger()

BATCH_MAX: Final = 50  # results or events in one message
BATCH_BYTES: Final = 128 * 1024
REPORTS_MAX: Final = 1000
PING_EVERY_S: Final = 10.0


class Reporter:
    """Lives as long as the agent; each life of the link runs `run`. Nothing here is state of its own."""

    def __init__(self, book: Book, spool: Spool, clock: Clock) -> None:
        self._book = book
        self._spool = spool
        self._clock = clock
        self._rejected: deque[Rejected] = deque(maxlen=REPORTS_MAX)
        self._reporting: list[tuple[int, JobId, Attempt, str]] = []

    def reject(self, report: Rejected) -> None:
        self._rejected.append(report)
        self._book.changes.note()

    async def run(self, link: Link) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_results(link), name="results")
            group.create_task(self._send_events(link), name="events")
            group.create_task(self._send_logs(link), name="logs")
            group.create_task(self._send_pings(link), name="pings")

    async def _send_results(self, link: Link) -> None:
        while True:
            version = self._book.changes.version
            finished = self._book.unsent()[:BATCH_MAX]
            if not finished:
                await self._book.changes.newer_than(version)
                continue
            await self._send_some_results(link, finished)

    async def _send_some_results(self, link: Link, finished: Sequence[Held]) -> None:
        batch: list[Result] = []
        size = 0
        for job in sorted(finished, key=Held.rank):
            result = await self._spool.result(job.key)
            if result is None or not await self._send_blob(link, result):
                await self._book.set_aside(job.key, "the result's bytes do not match their checksum")
                continue
            batch.append(self._book.dated(job, result))
            size += len(result.document)
            if size > BATCH_BYTES:
                break
        if batch:
            await link.publish("result", batch)  # returns with the broker's confirm
            await self._book.note_sent([(one.job_id, one.attempt) for one in batch])

    async def _send_blob(self, link: Link, result: Result) -> bool:
        """The parts of a large document, each confirmed by itself. False: it is damaged."""
        if not result.blob_sha256:
            return True
        data = await asyncio.to_thread(self._spool.document, result)
        if data is None:
            return False
        for index in range(result.blob_parts):
            part = data[index * BLOB_PART_BYTES : (index + 1) * BLOB_PART_BYTES]
            blob = Blob(
                job_id=result.job_id,
                attempt=result.attempt,
                sha256=result.blob_sha256,
                index=index,
                of=result.blob_parts,
                part=part,
            )
            await link.publish("blob", [blob])
        return True

    async def _send_events(self, link: Link) -> None:
        while True:
            version = self._book.changes.version
            accepted = [job for job in self._book.all() if not job.accepted_sent][:BATCH_MAX]
            started = [job for job in self._book.all() if job.started_at is not None and not job.started_sent]
            started = started[:BATCH_MAX]
            rejected = list(self._rejected)[:1]
            events: list[Message] = [
                *(Accepted(job_id=job.job_id, attempt=job.attempt) for job in accepted),
                *map(_started, started),
                *rejected,
                *await self._quarantined(),
            ]
            if not events:
                await self._book.changes.newer_than(version)
                continue
            await link.publish("event", events)
            if rejected:
                self._rejected.popleft()
            await self._note_told(accepted, started)

    async def _note_told(self, accepted: Sequence[Held], started: Sequence[Held]) -> None:
        """Begun together, so that these commits share an fsync."""
        async with asyncio.TaskGroup() as group:
            if accepted:
                group.create_task(self._book.note_accepted([job.key for job in accepted]))
            if started:
                group.create_task(self._book.note_started([job.key for job in started]))
            for row_id, *_ in self._reporting:
                group.create_task(self._spool.reported(row_id))

    async def _quarantined(self) -> list[Message]:
        self._reporting = await self._spool.unreported()
        return [
            Rejected(
                reason=f"SpoolDamaged: {what}; the row is in the agent's quarantine",
                job_id=job_id,
                attempt=attempt,
            )
            for _, job_id, attempt, what in self._reporting
        ]

    async def _send_logs(self, link: Link) -> None:
        while True:
            version = self._spool.log_changes.version
            chunks = await self._spool.pending_log(BATCH_MAX)
            if not chunks:
                await self._spool.log_changes.newer_than(version)
                continue
            await link.publish(
                "log",
                [
                    Log(
                        job_id=JobId(chunk.key[0]),
                        attempt=Attempt(chunk.key[1]),
                        offset=chunk.offset,
                        text=chunk.text,
                    )
                    for chunk in chunks
                ],
            )
            await self._spool.log_sent([chunk.chunk_id for chunk in chunks])

    async def _send_pings(self, link: Link) -> None:
        while True:
            jobs = self._book.all()
            ping = Ping(
                held=len(jobs),
                running=sum(job.state is State.STARTED for job in jobs),
                backlog=len(self._book.unsent()),
                wall_s=self._clock.wall_s(),
                clock_offset_ms=self._book.bridge_time.clock_offset_ms(),
            )
            await link.publish("ping", [ping])
            await asyncio.sleep(PING_EVERY_S)


def _started(job: Held) -> Started:
    return Started(job_id=job.job_id, attempt=job.attempt, started_at=job.started_at or 0.0)
