"""Hop 4: runs what the chooser starts, and keeps each result with its state in one commit."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.figures import FIGURES
from agent.jobs.book import Book
from agent.jobs.chooser import Action, Expire, choose, next_expiry_s
from agent.jobs.joblog import JobLog
from agent.jobs.model import Event, Held, Key, OutOfOrder, State
from agent.jobs.reconciler import reconcile, why_abandoned
from agent.jobs.serving import NoServing, Served, Serving
from agent.jobs.supplied import Supplied, nothing, on_path
from agent.spool.spool import Spool
from agent.wire.messages import Job, Result, canceled_error

log = structlog.get_logger()

DISK_RETRY_S: Final = 5.0  # a result that the disk refused is offered to it again this often, for ever
IDLE_S: Final = 3600.0
EXPIRED_MAX: Final = 100  # ended in one turn; the next one takes the rest
ROOM_CHECK_S: Final = 5.0  # nobody tells us when a disk gets free
JOB_DAMAGED: Final = "the job's bytes do not match their checksum"


class Executor(Protocol):
    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Site:
    """What every job of this agent sees of its surroundings."""

    worker: str
    hostname: str
    base_url: str
    worker_group: str


class Runner:
    """Lives as long as the agent, link or no link."""

    def __init__(
        self,
        book: Book,
        spool: Spool,
        executor: Executor,
        clock: Clock,
        *,
        slots: int,
        site: Callable[[], Site],
        link_is_up: Callable[[], bool],
        why_not: Callable[[Job], str],
        serving: Serving | None = None,
        supplied: Callable[[str], Awaitable[Supplied]] = nothing,
    ) -> None:
        """`why_not`: why the site's policy does not allow a job; empty when it does.

        `supplied`: what is here of a bundle whose job may start.
        """
        self._supplied = supplied
        self._book = book
        self._spool = spool
        self._executor = executor
        self._clock = clock
        self._slots = slots
        self._site = site
        self._link_is_up = link_is_up
        self._why_not = why_not
        self._serving = serving or NoServing()
        self._running: dict[Key, Stop] = {}
        self._ending: set[Key] = set()  # cancelled, and the disk has not taken that yet

    @property
    def running(self) -> int:
        return len(self._running)

    async def recover(self) -> None:
        """Decide, once at start, what every job that a crash left started becomes."""
        await self._reconcile(self._book.unfinished.started())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                version = self._book.changes.version
                await self._adopt()
                actions = self._next_actions()
                waits = False
                for action in actions:
                    if isinstance(action, Expire):
                        await self._expire(action.job)
                    else:
                        waits = not self._has_room_for(action.job.key) or waits
                        if not waits:
                            self._begin(group, action.job)
                if waits or not actions:
                    most_s = ROOM_CHECK_S if waits else IDLE_S
                    await self._news(version, min(most_s, self._next_expiry_s()))

    def _next_actions(self) -> list[Action]:
        now_s = self._clock.monotonic_s()
        unfinished = self._book.unfinished
        has_slot = len(self._running) < self._slots
        most = self._slots + len(self._ending)  # as many as are running may be among them
        ready = unfinished.ready(most) if has_slot else []
        ready = [job for job in ready if job.key not in self._ending]  # I7
        expiring = unfinished.expiring(EXPIRED_MAX + len(self._running), up_to_s=now_s)
        return choose(ready, expiring, self._running, self._slots, now_s)

    async def cancel(self, key: Key, by: str, reason: str) -> None:
        """A person no longer wants this job: it never starts (I7), or is stopped."""
        job = self._book.get(key)
        if job is None or job.state is State.DROPPED:
            return  # it is over, or was never here
        stop = self._running.get(key)
        try:
            if job.state is not State.STARTED:  # also when it has a slot: its start then finds it over
                self._ending.add(key)
                error = canceled_error(by, reason)
                await self._end_unrun(job, Event.CANCELLED, error, by=by, reason=reason)
                return
            await self._book.apply(key, Event.CANCELLED, by=by, reason=reason)
        except OutOfOrder:  # it was started, or ended, in the same moment
            stop = None
        finally:
            self._ending.discard(key)
        if stop is not None:
            stop.request(by, reason)
        else:
            await self.cancel(key, by, reason)

    async def drain(self) -> None:
        """Return when nothing runs any more."""
        while self._running:
            await self._book.changes.newer_than(self._book.changes.version)

    def stop_starting(self) -> None:
        """From now on nothing new is started; what runs goes on."""
        self._slots = 0

    def _has_room_for(self, key: Key) -> bool:
        """Room for its result is promised before it starts; until there is some it waits (I6)."""
        return self._spool.room.reserve(key, backlog=self._book.has_backlog)

    def _begin(self, group: asyncio.TaskGroup, job: Held) -> None:
        stop = Stop()
        self._running[job.key] = stop  # takes the slot before the first await
        group.create_task(self._run_one(job, stop), name=f"job {job.job_id}")

    async def _run_one(self, held: Held, stop: Stop) -> None:
        try:
            job = await self._spool.job(held.key)
            if job is None:
                log.error("job.damaged", job_id=held.job_id, attempt=held.attempt)
                await self._book.set_aside(held.key, JOB_DAMAGED)
                return
            if why_not := self._why_not(job):  # it was taken over HTTP, or under another policy
                log.warning("job.refused", job_id=held.job_id, attempt=held.attempt, reason=why_not)
                error = {"name": "NotAllowed", "message": f"{why_not}; it was not run"}
                await self._end_unrun(held, Event.REFUSED, error)
                return
            supplied = await self._supplied(job.bundle)
            if supplied.unmet:
                log.warning("job.unsupplied", job_id=held.job_id, attempt=held.attempt, reason=supplied.unmet)
                message = f"what it imports cannot be had here: {supplied.unmet}; it was not run"
                await self._end_unrun(
                    held, Event.REFUSED, {"name": "DependenciesMissing", "message": message}
                )
                return
            await self._book.apply(held.key, Event.STARTED)  # durable before the spawn: I2
            await self._execute(job, self._book.get(held.key) or held, stop, supplied.folder)
        except OutOfOrder as error:  # cancelled or revoked in the same moment (I7)
            log.info("job.not_started", job_id=held.job_id, reason=str(error))
        except WriteFailed as error:
            log.error("spool.refused", job_id=held.job_id, error=str(error))
            await asyncio.sleep(DISK_RETRY_S)  # the job is as it was; the chooser starts it again
        finally:
            self._spool.room.release(held.key)
            del self._running[held.key]
            self._book.changes.note()  # of a slot that is free

    async def _execute(self, job: Job, held: Held, stop: Stop, packages: str) -> None:
        if held.canceled_by is not None:
            stop.request(held.canceled_by, held.cancel_reason or "")
        site = self._site()
        header = (
            f"job={job.job_id} tag={job.tag} worker={site.worker} hostname={site.hostname} isolation=none\n"
        )
        joblog = JobLog(self._spool, held.key, held.log_chars, header)
        if held.interruptions:
            joblog.write("\n[... interrupted: the agent stopped; the job is run again ...]\n")
        flusher = asyncio.create_task(joblog.run(), name=f"joblog {job.job_id}")
        with self._serving.serve(job) as served:
            try:
                task = _task(job, site, served, packages)
                outcome = await self._executor.run(task, joblog.write, stop)
            finally:
                joblog.end()
                await asyncio.wait([flusher])
        flusher.result()  # a damaged spool is not for a job to live with
        await joblog.close()
        self._book.note_log(held.key, joblog.length)
        result = self._result(job, held, outcome, joblog.length)
        if served.has_set_state or held.interruptions:
            result = replace(result, states=await self._states(job))
        await self._keep(held.key, Event.EXITED, result)

    async def _keep(self, key: Key, event: Event, result: Result) -> None:
        """I6: a result is never dropped. While the disk or the quota refuses it, it waits in memory."""
        while True:
            if not self._spool.room.may_keep(key, len(result.document), backlog=self._book.has_backlog):
                await self._news(self._book.changes.version, DISK_RETRY_S)
                continue
            try:
                await self._book.finish(key, event, result)
                FIGURES.note_ended(succeeded=result.success)
            except (WriteFailed, OSError) as error:
                log.error("result.waits_for_disk", job_id=key[0], error=str(error))
                await asyncio.sleep(DISK_RETRY_S)
            else:
                return

    async def _states(self, job: Job) -> dict[str, str]:
        """What it set for its script's next run; none for a cluster that would not take them."""
        key = (job.job_id, job.attempt)
        return await self._spool.script_states.set_by(key) if job.takes_states else {}

    def _result(self, job: Job, held: Held, outcome: Outcome, log_chars: int) -> Result:
        return Result(
            job_id=job.job_id,
            attempt=job.attempt,
            workspace=job.workspace,
            success=outcome.success,
            document=outcome.result,
            started_at=held.started_at,
            finished_at=self._clock.wall_s(),
            duration_ms=outcome.duration_ms,
            mem_peak_kb=outcome.mem_peak_kb,
            exit_code=outcome.exit_code,
            log_chars=log_chars,
            canceled_by=outcome.canceled_by,
            canceled_reason=outcome.canceled_reason,
            finished_while_down=not self._link_is_up(),
        )

    async def _expire(self, job: Held) -> None:
        error = {"name": "Expired", "message": "its not_after passed before a slot was free; it was not run"}
        try:
            reason = f"Expired: {error['message']}"
            await self._end_unrun(job, Event.EXPIRED, error, refused=reason)
        except OutOfOrder as other:  # cancelled or revoked in the same moment
            log.info("job.not_expired", job_id=job.job_id, reason=str(other))
        except WriteFailed as refused:  # it was damaged, and the disk does not even let it be set aside
            log.error("spool.refused", job_id=job.job_id, error=str(refused))
            await asyncio.sleep(DISK_RETRY_S)

    async def _adopt(self) -> None:
        """Decide what becomes of jobs whose result was found damaged when it was to leave."""
        for key in list(self._book.orphans):
            job = self._book.get(key)
            try:
                await self._reconcile([job] if job else [])
            except OutOfOrder as other:  # it was let go in the same moment
                log.info("job.not_recovered", job_id=key[0], reason=str(other))
            except WriteFailed as error:
                log.error("spool.refused", job_id=key[0], error=str(error))
                await asyncio.sleep(DISK_RETRY_S)
                continue
            self._book.orphans.pop(key, None)

    async def _reconcile(self, started: Sequence[Held]) -> None:
        for job, event in reconcile(started):
            log.info("job.recovered", job_id=job.job_id, attempt=job.attempt, becomes=str(event))
            if event is Event.INTERRUPTED:
                await self._book.apply(job.key, event)
            else:
                await self._end_unrun(job, event, why_abandoned(job))

    async def _end_unrun(
        self,
        job: Held,
        event: Event,
        error: dict[str, str],
        *,
        by: str | None = None,
        reason: str | None = None,
        refused: str = "",
    ) -> None:
        """Close a job that is not run (any more), with an error object of our own."""
        known = await self._spool.job(job.key)
        if known is None:
            await self._book.set_aside(job.key, JOB_DAMAGED)
            return
        result = Result(
            job_id=job.job_id,
            attempt=job.attempt,
            workspace=known.workspace,
            success=False,
            document=json.dumps(error).encode(),
            started_at=job.started_at,
            finished_at=self._clock.wall_s(),
            log_chars=job.log_chars,
            canceled_by=by,
            canceled_reason=reason,
            refused=refused,
            finished_while_down=not self._link_is_up(),
            states=await self._states(known) if job.started_at is not None else {},
        )
        await self._keep(job.key, event, result)

    async def _news(self, since: int, most_s: float) -> None:
        """Wait for a change in the book, or this long: nobody tells us when a disk gets free."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await self._book.changes.newer_than(since)

    def _next_expiry_s(self) -> float:
        soonest = self._book.unfinished.expiring(len(self._running) + 1)
        seconds = next_expiry_s(soonest, self._running, self._clock.monotonic_s())
        return IDLE_S if seconds is None else seconds


def _task(job: Job, site: Site, served: Served, packages: str) -> Task:
    env = dict(job.env) | {
        **on_path(job.language, packages),
        "WM_TOKEN": job.token,
        "WM_JOB_ID": job.job_id,
        "WM_WORKSPACE": job.workspace,
        "WM_WORKER_GROUP": site.worker_group,
        "BASE_INTERNAL_URL": site.base_url,
        "WM_BASE_URL": job.env.get("WM_BASE_URL") or site.base_url,
        "ORVANTA_IDEMPOTENCY_KEY": job.job_id,
        "ORVANTA_ATTEMPT": str(job.attempt),
        **served.env,
    }
    return Task(
        job_id=job.job_id,
        language=job.language,
        code=job.code,
        args=job.args,
        env=env,
        timeout_s=job.timeout_s,
        path=job.path,
        hidden=(job.token, *job.hidden, *served.hidden),
        scripts=job.scripts,
        packages=packages,
    )
