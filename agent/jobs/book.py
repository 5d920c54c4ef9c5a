"""The jobs in custody: each change steps through the table and is committed before it is acted on."""

import asyncio
import secrets
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from agent.changes import Changes
from agent.clock import Clock
from agent.database import WriteFailed
from agent.jobs.bridge_time import BridgeTime
from agent.jobs.deadline import Deadline, age_on_arrival, deadline_of, expires_s
from agent.jobs.model import OVER, UNSTARTED, Event, Held, Key, OutOfOrder, State, first_state, step
from agent.jobs.unfinished import Unfinished
from agent.jobs.whole import whole
from agent.spool.rows import Kept, Row, Taken
from agent.spool.spool import Spool
from agent.wire.claims import Tag
from agent.wire.messages import Delivery, Job, Result

log = structlog.get_logger()

MAY_START: Final = (*UNSTARTED, State.STARTED)  # started: an interruption makes it ready
AGAIN_MAX: Final = 1000  # results that the broker lost, in one commit
UNDATED_MAX: Final = 100_000  # results whose clock offset may still be learnt


class Book:
    """What is not over is mirrored in memory; what is over is only on disk, and counted here.

    The spool wins. Changes are queued to its one writer in the order they are made here.
    """

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._over: Counter[State] = Counter()
        self._unaccepted: dict[Key, None] = {}  # the bridge has not confirmed that it heard of our custody
        self.unfinished = Unfinished()
        self.orphans: dict[Key, None] = {}  # started jobs that nobody runs, since their result was damaged
        self.changes = Changes()
        self.in_hand: set[asyncio.Task[Any]] = set()
        self.bridge_time = BridgeTime(spool, clock)
        self.grant_id = secrets.token_hex(8)  # of this start: a spool that was lost knows of no earlier grant
        self._undated: dict[Key, float] = {}  # results that finished while the bridge's clock was not known

    async def load(self) -> None:
        """Read what is not over: state is in the spool, so a start is a recovery. Raises `WriteFailed`."""
        await self.bridge_time.load()
        backlog, sent = await self._spool.count_over()
        self._over = Counter({State.FINISHED: backlog, State.SENT: sent})
        for row in await self._spool.open_rows():
            key = (row.job_id, row.attempt)
            if not row.accepted_sent:
                self._unaccepted[key] = None
            if row.state in OVER:
                continue
            try:
                self.unfinished.put(self._mirror(row, await self._deadline(row)))
            except (ValueError, TypeError) as error:
                log.error("row.damaged", job_id=row.job_id, attempt=row.attempt, reason=str(error))
                await self._spool.quarantine(key, f"the row makes no sense: {error}")
                self._unaccepted.pop(key, None)

    @property
    def held(self) -> int:
        """Jobs in custody."""
        return len(self.unfinished) + self._over.total()

    @property
    def backlog(self) -> int:
        """Jobs whose result has not reached the broker."""
        return self._over[State.FINISHED]

    def get(self, key: Key) -> Held | None:
        """The job, unless it is over or not held."""
        return self.unfinished.get(key)

    def unaccepted(self, most: int) -> list[Key]:
        """Jobs of which the bridge may not know that they are here."""
        return [key for key, _ in zip(self._unaccepted, range(most), strict=False)]

    def has_backlog(self) -> bool:
        """Whether results are here that make room when they leave."""
        return self._over.total() > 0

    async def missing(self, keys: Iterable[Key]) -> set[Key]:
        """Those of `keys` that are not in custody."""
        unknown = {key for key in keys if key not in self.unfinished}
        states = await self._spool.states(unknown) if unknown else {}
        for key, state in states.items():
            if state not in OVER and key not in self.unfinished:  # no index led to it
                await self.set_aside(key, "the spool's indexes do not name this row")
        return {key for key in unknown if states.get(key) not in OVER and key not in self.unfinished}

    @whole
    async def hold(self, job: Job, body: bytes) -> Taken:
        """Take custody (hop 3). On return it is on disk, unless this attempt was here before and is over."""
        key = (job.job_id, job.attempt)
        state = first_state(job.delivery)
        held_at = self._clock.wall_s()
        job = replace(job, age_s=age_on_arrival(job.age_s, job.dispatched_at, self.bridge_time.now_s()))
        taken = await self._spool.hold(job, body, state)
        if taken is Taken.NEW:
            deadline = None if job.lives_s is None else self._counted(job, job.lives_s - job.age_s)
            self.unfinished.put(
                Held(
                    job_id=job.job_id,
                    attempt=job.attempt,
                    tag=_shared(job.tag),
                    state=state,
                    delivery=job.delivery,
                    held_at=held_at,
                    priority=job.priority,
                    max_interruptions=job.max_interruptions,
                    expires_s=self._expires_s(deadline),
                    deadline=deadline,
                    bundle=sys.intern(job.bundle),
                )
            )
        if taken is not Taken.OVER:
            self._unaccepted[key] = None
            self.changes.note()
        return taken

    @whole
    async def apply(
        self, key: Key, event: Event, *, by: str | None = None, reason: str | None = None
    ) -> Held:
        """Step `key` and commit. Raises `OutOfOrder`, `WriteFailed` (then the job is as it was)."""
        before = self._must(key, event)
        after = before.after(event)
        if event is Event.STARTED:
            after = replace(after, started_at=self._clock.wall_s(), started_sent=False)
        if event is Event.CANCELLED and before.canceled_by is None:
            after = replace(after, canceled_by=by, cancel_reason=reason)
        self.unfinished.put(after)
        try:
            written = await self._spool.move(
                key,
                after.state,
                after.interruptions,
                started_at=after.started_at,
                canceled_by=after.canceled_by,
                cancel_reason=after.cancel_reason,
            )
        except WriteFailed:
            if (now := self.unfinished.get(key)) and now.state is after.state:
                self.unfinished.put(replace(before, expires_s=now.expires_s, log_chars=now.log_chars))
            raise
        if not written and event is Event.STARTED:  # I2: nothing starts whose start is not on disk
            self.unfinished.drop(key)
            raise OutOfOrder(State.DROPPED, event)
        self.changes.note()
        return after

    @whole
    async def finish(self, key: Key, event: Event, result: Result) -> None:
        """State and result in one commit (hop 4, I3). The first result stands. Raises `OutOfOrder`."""
        after = self._must(key, event).after(event)
        if after.state is not State.FINISHED:  # a cancel of what has just been started: the runner stops it
            raise OutOfOrder(after.state, event)
        result = replace(result, clock_offset_ms=self.bridge_time.clock_offset_ms())
        if result.clock_offset_ms is None and len(self._undated) < UNDATED_MAX:
            self._undated[key] = self.bridge_time.wall_ahead_s()
        if await self._spool.finish(key, after.state, result):
            self._over[State.FINISHED] += 1
        self.unfinished.drop(key)
        self.changes.note()

    async def learn_bridge_time(self, bridge_wall_s: float) -> None:
        """From now on the bridge's clock counts the age of every held job."""
        await self.bridge_time.learn(bridge_wall_s)
        self._count_anew()

    async def learn_bridge_answer(self, bridge_wall_s: float) -> None:
        """As `learn_bridge_time`, from an answer that came by way of the broker."""
        await self.bridge_time.learn_answer(bridge_wall_s)
        self._count_anew()

    def _count_anew(self) -> None:
        for job in self.unfinished.with_deadline():
            self.unfinished.put(replace(job, expires_s=self._expires_s(job.deadline)))
        self.changes.note()

    def dated(self, result: Result) -> Result:
        """The result with the clock offset of when it finished, which may be known only now."""
        if result.clock_offset_ms is not None:
            return result
        ahead_s = self._undated.get((result.job_id, result.attempt))
        return replace(result, clock_offset_ms=self.bridge_time.offset_ms_of(ahead_s))

    @whole
    async def note_accepted(self, keys: Sequence[Key]) -> None:
        await self._spool.mark("accepted_sent", keys)
        for key in keys:
            self._unaccepted.pop(key, None)

    @whole
    async def note_started(self, keys: Sequence[Key]) -> None:
        await self._spool.mark("started_sent", keys)
        for key in keys:
            if job := self.unfinished.get(key):
                self.unfinished.put(replace(job, started_sent=True))

    async def results(self, skip: Collection[int], most: int, most_bytes: int) -> list[Kept]:
        """Results to send, the best first, without the rows of `skip` as they are now."""
        return await self._spool.results(frozenset(skip), most, most_bytes) if self.backlog else []

    @whole
    async def note_sent(self, keys: Sequence[Key]) -> None:
        """The broker has these results (hop 5)."""
        state = step(State.FINISHED, Event.CONFIRMED)
        moved = await self._spool.sent(keys, state)
        for key in keys:
            self._undated.pop(key, None)
        self._over[State.FINISHED] -= moved
        self._over[state] += moved
        self.changes.note()

    @whole
    async def send_again(self, before_s: float) -> int:
        """The broker lost what it had confirmed before then (`lived_s`). How many results that were."""
        state = step(State.SENT, Event.MISSED)
        missed = 0
        while moved := await self._spool.missed(before_s, state, AGAIN_MAX):
            missed += moved
            self._over[State.SENT] -= moved
            self._over[state] += moved
            self.changes.note()
        return missed

    def announce_waiting(self) -> None:
        """Whoever waits for its grant is announced once more: the broker may have lost either."""
        self._unaccepted.update(dict.fromkeys(self.unfinished.waiting()))
        self.changes.note()

    @whole
    async def note_parts_left(self, key: Key, left: int) -> bool:
        """So many parts of its document are to be sent. False: the result is not wanted any more."""
        wanted = await self._spool.parts_left(key, left)
        self.changes.note()
        return wanted

    def note_log(self, key: Key, log_chars: int) -> None:
        if job := self.unfinished.get(key):
            self.unfinished.put(replace(job, log_chars=log_chars))

    @whole
    async def forget(self, keys: Iterable[Key], *, keep_log: bool = True) -> None:
        """The cluster has recorded these, or they are somebody else's: let go."""
        leaving = list(keys)
        before = [job for key in leaving if (job := self.unfinished.drop(key))]  # from now on none starts
        try:
            gone = await self._spool.forget(leaving, keep_log=keep_log)
        except WriteFailed:
            for job in before:
                self.unfinished.put(job)
            raise
        for key, state in gone.items():
            self._left(key, state)
        self.changes.note()

    @whole
    async def set_aside(self, key: Key, what: str) -> None:
        """A damaged row leaves custody for quarantine; the bridge is told."""
        state = await self._spool.quarantine(key, what)
        self.unfinished.drop(key)
        if state is not None:
            self._left(key, state)
        self.changes.note()

    @whole
    async def redo(self, key: Key) -> None:
        """The kept result is damaged: back to `STARTED`, so that the reconciler decides anew."""
        log.error("result.damaged", job_id=key[0], attempt=key[1])
        row = await self._spool.row(key)
        if row is None or not await self._spool.drop_result(key, State.STARTED):
            return  # its receipt came in this moment
        self._over[State.FINISHED] -= 1
        try:
            job = self._mirror(row, await self._deadline(row))
            job = replace(job, state=State.STARTED, started_sent=True)
        except (ValueError, TypeError) as error:
            await self.set_aside(key, f"the row makes no sense: {error}")
            return
        self.unfinished.put(job)
        self.orphans[key] = None
        self.changes.note()

    def _must(self, key: Key, event: Event) -> Held:
        """What is over or has been let go has left memory."""
        if (job := self.unfinished.get(key)) is None:
            raise OutOfOrder(State.DROPPED, event)
        return job

    def _left(self, key: Key, state: str) -> None:
        self._unaccepted.pop(key, None)
        if state in OVER:
            self._over[State(state)] -= 1

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
            tag=_shared(row.tag),
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
            started_at=row.started_at,
            started_sent=row.started_sent,
            log_chars=row.log_chars,
            bundle=sys.intern(str(row.bundle)),
        )


def _shared(tag: Tag) -> Tag:
    """One text for all jobs of a tag, however many are held."""
    return Tag(sys.intern(str(tag)))


def _require_numbers(row: Row) -> None:
    """SQLite gives back whatever type the damaged bytes spell."""
    wanted = (row.attempt, row.max_interruptions, row.interruptions, row.held_at, row.log_chars)
    optional = (row.priority, row.remaining_s, row.started_at)
    numbers = (*wanted, *(value for value in optional if value is not None))
    if not all(isinstance(value, int | float) for value in numbers):
        raise TypeError("text stands where a number belongs")
