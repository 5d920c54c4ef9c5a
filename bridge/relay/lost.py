"""What becomes of a job that its custodian lost or gave up, or that none took in time (DESIGN section 3)."""

import hashlib
from dataclasses import replace
from typing import Final, Protocol

import structlog

from agent.clock import Clock
from agent.wire.claims import Attempt, Tag, WorkerName
from agent.wire.envelope import pack, unpack
from agent.wire.messages import Delivery, Job
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.silence import Silence

log = structlog.get_logger()

LISTEN_S: Final = 60.0  # after the broker's return, what waits in its queues is heard before anyone is lost
TAKING_S: Final = 10.0  # an acceptance from before the not_after may be on its way for so long
GIVEN_UP_MAX: Final = 5  # attempts that agents may refuse or damage before the job fails


class Waiting(Protocol):
    """How many jobs wait in the broker. Raises `BrokerDown`."""

    async def waiting(self, tag: Tag) -> int: ...

    async def waiting_for(self, worker: WorkerName) -> int: ...


class Lost:
    def __init__(self, recorder: Recorder, ledger: Ledger, clock: Clock, policies: Policies) -> None:
        self._recorder = recorder
        self._ledger = ledger
        self._clock = clock
        self._policies = policies
        self._silence = Silence(clock)
        self._on_its_way = Silence(clock)

    async def look(self, waiting: Waiting | None) -> None:
        """Take every job from custodians that are silent for too long, and end what nobody took in time.

        `waiting`: the broker; None: it cannot be heard now. Raises `ClusterDown`, `BrokerDown`; what is
        not ended then is met again at the next look.
        """
        self._silence.hearing(now=waiting is not None)
        await self._end_the_expired()
        in_custody = await self._ledger.in_custody()
        if waiting is not None:
            await self._take_from_the_broker([one for one in in_custody if not one.custodian], waiting)
        last_heard = await self._ledger.last_heard()
        silent_s = {worker: self._silence.of(worker, heard) for worker, heard in last_heard.items()}
        lost = [custody for custody in in_custody if self._is_lost(custody, silent_s)]
        for custody in lost:
            log.warning("custodian.lost", job_id=custody.job_id, attempt=custody.attempt,
                        worker=custody.custodian)  # fmt: skip
            why = f"{custody.custodian} held the job and was not heard of for its lost_after"
            await self._again_or_end(custody, "CustodianLost", why)

    async def _take_from_the_broker(self, unaccepted: list[Custody], waiting: Waiting) -> None:
        """What was published long ago and is not in its queue: the broker lost it, or whoever took it."""
        overdue = [custody for custody in unaccepted if self._is_overdue(custody)]
        self._on_its_way.forget_but({(one.job_id, one.attempt) for one in unaccepted})
        empty = {place for place in {_place(one) for one in overdue} if not await _count(waiting, *place)}
        for custody in (one for one in overdue if _place(one) in empty):
            if not await self._ledger.refuse((custody.job_id, custody.attempt), "lost_after"):
                continue  # accepted since we looked
            log.warning(
                "job.lost_on_its_way", job_id=custody.job_id, attempt=custody.attempt, tag=custody.tag
            )
            why = "no agent accepted the job within its lost_after, and the broker does not have it"
            await self._again_or_end(custody, "CustodianLost", why)

    def _is_overdue(self, custody: Custody) -> bool:
        if custody.published_at is None:
            return False
        unheard_s = self._on_its_way.of((custody.job_id, custody.attempt), custody.published_at)
        return self._is_too_long(custody, unheard_s)

    def listen_anew(self) -> None:
        """A new session with the broker: what waited in its queues has not been heard yet."""
        self._silence.hearing(now=False)

    async def take_from(self, worker: WorkerName, why: str, *, is_trusted: bool) -> None:
        """All that this agent holds, now: its token has ended. Raises `ClusterDown`; then some is left."""
        if not is_trusted:
            await self._ledger.distrust(worker)
        for custody in await self._ledger.in_custody():
            if custody.custodian == worker:
                log.warning("custodian.ended", job_id=custody.job_id, attempt=custody.attempt,
                            worker=worker, reason=why)  # fmt: skip
                await self._again_or_end(custody, "CustodianLost", f"{worker} held the job and {why}")

    async def given_up(self, custody: Custody, reason: str) -> None:
        """An agent said that it does not have this attempt (any more)."""
        if custody.attempt >= GIVEN_UP_MAX:
            await self._end(custody, "Rejected", f"{reason}; given up after {custody.attempt} attempts")
        else:
            await self._again_or_end(custody, "Rejected", reason)

    async def _end_the_expired(self) -> None:
        """Whoever accepts one of them later is sent a revoke."""
        before = self._clock.wall_s() - TAKING_S
        expired = await self._ledger.expired("taken", before)
        if self._silence.could_be_heard_for(TAKING_S):
            expired += await self._ledger.expired("published", before)
        for custody in expired:
            if not await self._ledger.refuse((custody.job_id, custody.attempt), "not_after"):
                continue  # accepted since we looked: whoever holds it counts by the same clock
            log.info("job.expired", job_id=custody.job_id, attempt=custody.attempt)
            error = {"name": "Expired", "message": "its not_after passed before an agent accepted it"}
            await self._recorder.end_unrun(custody, error, outcome="expired")

    async def dispatch_again(self, custody: Custody, why: str) -> bool:
        """By an operator's word. False: somebody has accepted it, or it has ended (I1, I2)."""
        job = await self._job(custody)
        if job is None or custody.custodian is not None:
            return False
        await self._again(custody, job, why)
        now = await self._ledger.find((custody.job_id, custody.attempt))
        return now is not None and now.is_open and now.attempt > custody.attempt

    async def refused(self, custody: Custody, sha256: str, reason: str) -> None:
        """Something that says it is this attempt, which nobody has accepted, was refused as unproved (I1).

        When its bytes are those that we published, it is this attempt, and it is gone. Else it may be a
        forgery, and the attempt may still wait in the broker: a new one does no harm, for of the two only one
        can be accepted; an end would, so a job never ends on the word of a stranger.
        """
        body = await self._ledger.body((custody.job_id, custody.attempt))
        if body and hashlib.sha256(body).hexdigest() == sha256:
            await self.given_up(custody, reason)
            return
        job = await self._job(custody)
        if job is not None and custody.attempt < GIVEN_UP_MAX and self._may_go_again(custody, job):
            await self._again(custody, job, reason)
        else:
            log.error("job.refused", job_id=custody.job_id, attempt=custody.attempt, reason=reason)

    def _is_lost(self, custody: Custody, silent_s: dict[WorkerName, float]) -> bool:
        if custody.custodian is None or custody.custodian not in silent_s:
            return False
        return self._is_too_long(custody, silent_s[custody.custodian])

    def _is_too_long(self, custody: Custody, silent_s: float) -> bool:
        patience_s = self._policies.lost_after(custody.tag, custody.lost_after_s)
        return silent_s >= patience_s and self._silence.could_be_heard_for(min(LISTEN_S, patience_s))

    async def _again_or_end(self, custody: Custody, name: str, why: str) -> None:
        job = await self._job(custody)
        if job is None or not self._may_go_again(custody, job):
            await self._end(custody, name, f"{why}; it is not run again")
        else:
            await self._again(custody, job, why)

    def _may_go_again(self, custody: Custody, job: Job) -> bool:
        """I2: an at_most_once job that nobody was granted has not started, and its old attempt never will."""
        if job.delivery is Delivery.AT_MOST_ONCE and custody.custodian is None:
            return True
        return self._policies.may_replace(custody.tag, job.delivery, custody.replace)

    async def _again(self, custody: Custody, job: Job, why: str) -> None:
        await self._ledger.replace(custody, pack([self._next(job)]))
        log.info("job.dispatched_again", job_id=custody.job_id, attempt=custody.attempt + 1, reason=why)

    async def _end(self, custody: Custody, name: str, why: str) -> None:
        error = {"name": name, "message": why}
        await self._recorder.end_unrun(custody, error, outcome="lost")

    async def _job(self, custody: Custody) -> Job | None:
        body = await self._ledger.body((custody.job_id, custody.attempt))
        (job,) = unpack(body) if body else (None,)
        return job if isinstance(job, Job) else None

    def _next(self, job: Job) -> Job:
        """The same job as a new attempt; what is left of its life is counted from now."""
        now = self._clock.wall_s()
        left_s = None if job.lives_s is None else job.lives_s - (now - job.dispatched_at)
        return replace(job, attempt=Attempt(job.attempt + 1), lives_s=left_s, age_s=0.0, dispatched_at=now)


def _place(custody: Custody) -> tuple[Tag, WorkerName | None]:
    """Where it waits in the broker: in its tag's queue, or in that of the one agent it was sent to."""
    return custody.tag, custody.directed_to


async def _count(waiting: Waiting, tag: Tag, worker: WorkerName | None) -> int:
    return await waiting.waiting(tag) if worker is None else await waiting.waiting_for(worker)
