"""The jobs in custody: each change steps through the table and is committed before it is acted on."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from agent.changes import Changes
from agent.clock import Clock
from agent.database import WriteFailed
from agent.jobs.bridge_time import BridgeTime
from agent.jobs.deadline import Deadline, age_on_arrival, deadline_of, expires_s
from agent.jobs.model import Event, Held, Key, OutOfOrder, State, first_state
from agent.spool.spool import Row, Spool
from agent.wire.messages import Delivery, Job, Result

log = structlog.get_logger()

MAY_START: Final = (State.WAITING, State.READY, State.STARTED)  # started: an interruption makes it ready


class Book:
    """Mirrors the spool in memory. Changes are queued to the one writer in the order they are made here."""

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._held: dict[Key, Held] = {}
        self.changes = Changes()
        self.bridge_time = BridgeTime(spool, clock)

    async def load(self) -> None:
        """Read every row: all state is in the spool, so a start is a recovery. Raises `WriteFailed`."""
        await self.bridge_time.load()
        for row in await self._spool.held():
            key = (row.job_id, row.attempt)
            try:
                self._held[key] = self._mirror(row, await self._deadline(row))
            except (ValueError, TypeError) as error:
                log.error("row.damaged", job_id=row.job_id, attempt=row.attempt, reason=str(error))
                await self._spool.quarantine(key, f"the row makes no sense: {error}")

    def all(self) -> Sequence[Held]:
        return list(self._held.values())

    def get(self, key: Key) -> Held | None:
        return self._held.get(key)

    def unsent(self) -> list[Held]:
        """Jobs whose result has not reached the broker."""
        return [job for job in self._held.values() if job.state is State.FINISHED]

    def has_backlog(self) -> bool:
        """Whether results are here that make room when they leave."""
        return any(job.state in (State.FINISHED, State.SENT) for job in self._held.values())

    async def hold(self, job: Job, body: bytes) -> bool:
        """Take custody (hop 3). On return it is on disk. False: this attempt was here before."""
        key = (job.job_id, job.attempt)
        job = replace(job, age_s=age_on_arrival(job.age_s, job.dispatched_at, self.bridge_time.now_s()))
        if await self._spool.hold(job, body, first_state(job.delivery)):
            deadline = None if job.lives_s is None else self._counted(job, job.lives_s - job.age_s)
            self._held[key] = Held(
                job_id=job.job_id,
                attempt=job.attempt,
                tag=job.tag,
                state=first_state(job.delivery),
                delivery=job.delivery,
                held_at=self._clock.wall_s(),
                priority=job.priority,
                max_interruptions=job.max_interruptions,
                expires_s=self._expires_s(deadline),
                deadline=deadline,
            )
            self.changes.note()
            return True
        if key in self._held:
            self._held[key] = replace(self._held[key], accepted_sent=False)
            self.changes.note()
        return False

    async def apply(
        self, key: Key, event: Event, *, by: str | None = None, reason: str | None = None
    ) -> Held:
        """Step `key` and commit. Raises `OutOfOrder`, `WriteFailed` (then the job is as it was)."""
        before = self._held.get(key)
        if before is None:  # revoked and forgotten in this moment
            raise OutOfOrder(State.DROPPED, event)
        after = before.after(event)
        if event is Event.STARTED:
            after = replace(after, started_at=self._clock.wall_s(), started_sent=False)
        if event is Event.CANCELLED and before.canceled_by is None:
            after = replace(after, canceled_by=by, cancel_reason=reason)
        self._held[key] = after
        try:
            await self._spool.move(
                key,
                after.state,
                after.interruptions,
                started_at=after.started_at,
                canceled_by=after.canceled_by,
                cancel_reason=after.cancel_reason,
            )
        except WriteFailed:
            if self._held.get(key) is after:
                self._held[key] = before
            raise
        self.changes.note()
        return after

    async def finish(self, key: Key, event: Event, result: Result) -> None:
        """State and result in one commit (hop 4, I3)."""
        wall_ahead_s = self.bridge_time.wall_ahead_s()
        after = replace(self._held[key].after(event), wall_ahead_s=wall_ahead_s)
        result = replace(result, clock_offset_ms=self.bridge_time.offset_ms_of(wall_ahead_s))
        await self._spool.finish(key, after.state, result)
        self._held[key] = after
        self.changes.note()

    async def learn_bridge_time(self, bridge_wall_s: float) -> None:
        """From now on the bridge's clock counts the age of every held job."""
        await self.bridge_time.learn(bridge_wall_s)
        for key, job in self._held.items():
            if job.deadline is not None:
                self._held[key] = replace(job, expires_s=self._expires_s(job.deadline))
        self.changes.note()

    def dated(self, job: Held, result: Result) -> Result:
        """The result with the clock offset of when it finished, which may be known only now."""
        if result.clock_offset_ms is not None:
            return result
        return replace(result, clock_offset_ms=self.bridge_time.offset_ms_of(job.wall_ahead_s))

    async def note_accepted(self, keys: Sequence[Key]) -> None:
        await self._spool.mark("accepted_sent", keys)
        for key in keys:
            if key in self._held:
                self._held[key] = replace(self._held[key], accepted_sent=True)

    async def note_started(self, keys: Sequence[Key]) -> None:
        await self._spool.mark("started_sent", keys)
        for key in keys:
            if key in self._held:
                self._held[key] = replace(self._held[key], started_sent=True)

    async def note_sent(self, keys: Iterable[Key]) -> None:
        """The broker has these results (hop 5)."""
        sent = [key for key in keys if key in self._held]
        for key in sent:
            self._held[key] = self._held[key].after(Event.CONFIRMED)
        await self._spool.sent(sent, State.SENT)
        self.changes.note()

    def note_log(self, key: Key, log_chars: int) -> None:
        if key in self._held:
            self._held[key] = replace(self._held[key], log_chars=log_chars)

    async def forget(self, keys: Iterable[Key], *, keep_log: bool = True) -> None:
        """The cluster has recorded these, or they are somebody else's: let go."""
        gone = [key for key in keys if key in self._held]
        if gone:
            await self._spool.forget(gone, keep_log=keep_log)
            for key in gone:
                self._held.pop(key, None)
            self.changes.note()

    async def set_aside(self, key: Key, what: str) -> None:
        """A damaged row leaves custody for quarantine; the bridge is told."""
        await self._spool.quarantine(key, what)
        self._held.pop(key, None)
        self.changes.note()

    async def redo(self, key: Key) -> None:
        """The kept result is damaged: back to `STARTED`, so that the reconciler decides anew."""
        await self._spool.drop_result(key, State.STARTED)
        self._held[key] = replace(self._held[key], state=State.STARTED)

    async def _deadline(self, row: Row) -> Deadline | None:
        """Of what may still start. The signed job says when, so its bytes are read for it."""
        if row.remaining_s is None or row.state not in MAY_START:
            return None
        job = await self._spool.job((row.job_id, row.attempt))
        return None if job is None else self._counted(job, row.remaining_s)

    def _counted(self, job: Job, left_s: float) -> Deadline:
        """Our own count goes on from `left_s`."""
        return deadline_of(left_s, job.lives_s or 0.0, job.dispatched_at, self._clock.monotonic_s())

    def _expires_s(self, deadline: Deadline | None) -> float | None:
        return None if deadline is None else expires_s(deadline, self.bridge_time.ahead_s)

    def _mirror(self, row: Row, deadline: Deadline | None) -> Held:
        """Raises ValueError, TypeError when damage has changed what the columns say."""
        _require_numbers(row)
        return Held(
            job_id=row.job_id,
            attempt=row.attempt,
            tag=row.tag,
            state=State(row.state),
            delivery=Delivery(row.delivery),
            held_at=row.held_at,
            priority=row.priority,
            max_interruptions=row.max_interruptions,
            interruptions=row.interruptions,
            expires_s=self._expires_s(deadline),
            deadline=deadline,
            canceled_by=row.canceled_by,
            cancel_reason=row.cancel_reason,
            accepted_sent=row.accepted_sent,
            started_at=row.started_at,
            started_sent=row.started_sent,
            log_chars=row.log_chars,
        )


def _require_numbers(row: Row) -> None:
    """SQLite gives back whatever type the damaged bytes spell."""
    wanted = (row.attempt, row.max_interruptions, row.interruptions, row.held_at, row.log_chars)
    optional = (row.priority, row.remaining_s, row.started_at)
    numbers = (*wanted, *(value for value in optional if value is not None))
    if not all(isinstance(value, int | float) for value in numbers):
        raise TypeError("text stands where a number belongs")
