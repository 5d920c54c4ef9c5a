"""Hops 5 and 6: what the spool holds for the bridge goes up; results before logs."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.jobs.book import Book
from agent.jobs.inquiry import Inquiry
from agent.jobs.model import Held, Key
from agent.jobs.outbox import Outbox
from agent.jobs.pace import Pace
from agent.jobs.parts import Parts
from agent.jobs.serving import NoServing, Serving
from agent.jobs.wishes import Wishes
from agent.link.link import Link
from agent.spool.rows import LogChunk
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId
from agent.wire.messages import Accepted, Log, Message, Ping, Rejected, Started

log = structlog.get_logger()

EVENTS_MAX: Final = 500  # of each kind in one message
LOG_CHARS_MAX: Final = 64 * 1024  # in one message: what a result may have to wait for on a fast link
LOG_CHUNKS_MAX: Final = 50
REPORTS_MAX: Final = 1000


class Reporter:
    """Lives as long as the agent; each life of the link runs `run`. Nothing here is state of its own."""

    def __init__(
        self,
        book: Book,
        spool: Spool,
        clock: Clock,
        inquiry: Inquiry,
        wishes: Wishes,
        serving: Serving | None = None,
    ) -> None:
        self._book = book
        self._spool = spool
        self._clock = clock
        self._inquiry = inquiry
        self._wishes = wishes
        self._serving = serving or NoServing()
        self._parts = Parts(book, spool, clock)
        self._rejected: deque[Rejected] = deque(maxlen=REPORTS_MAX)
        self._reporting: list[tuple[int, JobId, Attempt, str]] = []
        self._reported: frozenset[str] = frozenset()

    def reject(self, report: Rejected) -> None:
        self._rejected.append(report)
        self._book.changes.note()

    def reject_once(self, kinds: frozenset[str], report: Rejected) -> None:
        """Only what is about a kind of message that none was about since the agent started."""
        if kinds - self._reported:
            self._reported |= kinds
            self.reject(report)

    async def run(self, link: Link) -> None:
        outbox = Outbox(self._book, self._spool, self._clock, link, self._parts)
        async with asyncio.TaskGroup() as group:
            group.create_task(outbox.run(), name="results")
            group.create_task(self._send_events(link), name="events")
            group.create_task(self._send_logs(link, outbox), name="logs")
            group.create_task(self._send_pings(link), name="pings")
            group.create_task(self._inquiry.run(link, self._ping), name="inquiry")

    async def _send_events(self, link: Link) -> None:
        while True:
            version = self._book.changes.version
            accepted = self._book.unaccepted(EVENTS_MAX)
            started = self._book.unfinished.untold(EVENTS_MAX)
            rejected = list(self._rejected)[:1]
            events: list[Message] = [
                *(Accepted(job_id=key[0], attempt=key[1], grant_id=self._book.grant_id) for key in accepted),
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
            await self._note_told(accepted, [job.key for job in started])

    async def _note_told(self, accepted: Sequence[Key], started: Sequence[Key]) -> None:
        """Begun together, so that these commits share an fsync."""
        async with asyncio.TaskGroup() as group:
            if accepted:
                group.create_task(self._book.note_accepted(accepted))
            if started:
                group.create_task(self._book.note_started(started))
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

    async def _send_logs(self, link: Link, outbox: Outbox) -> None:
        """Only while no result waits for the link, and little at a time: text never delays a result."""
        pace = Pace()
        while True:
            version = self._spool.log_changes.version
            await outbox.all_under_way()
            chunks = _cut(await self._spool.pending_log(LOG_CHUNKS_MAX), min(LOG_CHARS_MAX, pace.batch_bytes))
            if not chunks:
                await self._spool.log_changes.newer_than(version)
                continue
            began_s = self._clock.monotonic_s()
            await link.publish("log", [_log(chunk) for chunk in chunks])
            pace = pace.after(self._clock.monotonic_s() - began_s)
            await self._spool.log_sent([chunk.chunk_id for chunk in chunks])

    async def _send_pings(self, link: Link) -> None:
        changes = self._wishes.pace_changed
        while True:
            version, oldest_at = changes.version, None
            if self._book.backlog:
                oldest_at = await self._spool.keys.oldest_unsent_at()
            await link.publish("ping", [self._ping(oldest_at=oldest_at)])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wishes.ping_every_s()):
                    await changes.newer_than(version)

    def _ping(self, ping_id: str = "", oldest_at: float | None = None) -> Ping:
        used_bytes, most_bytes = self._spool.room.used_and_most()
        return Ping(
            held=self._book.held,
            running=self._book.unfinished.started_count(),
            backlog=self._book.backlog,
            wall_s=self._clock.wall_s(),
            clock_offset_ms=self._book.bridge_time.clock_offset_ms(),
            ping_id=ping_id,
            next_s=self._wishes.ping_every_s(),
            backlog_age_s=None if oldest_at is None else max(0.0, self._clock.wall_s() - oldest_at),
            spool_bytes=used_bytes,
            spool_most_bytes=most_bytes,
            drained=not self._wishes.may_take(),
            progress=dict(self._serving.progress()),
        )


def _started(job: Held) -> Started:
    return Started(job_id=job.job_id, attempt=job.attempt, started_at=job.started_at or 0.0)


def _log(chunk: LogChunk) -> Log:
    job_id, attempt = chunk.key
    return Log(job_id=job_id, attempt=attempt, offset=chunk.offset, text=chunk.text)


def _cut(chunks: Sequence[LogChunk], most_chars: int) -> list[LogChunk]:
    """As many as go into one message of `most_chars`; one at least."""
    total = 0
    for count, chunk in enumerate(chunks):
        total += len(chunk.text)
        if count and total > most_chars:
            return list(chunks[:count])
    return list(chunks)
