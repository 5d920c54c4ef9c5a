"""The normal worker: pulls what is for it from the store, and runs each job by its kind's handler.

A flow's turn takes a moment, so turns have places of their own and never wait behind long jobs. Killed at any
point it leaves its jobs to the sweep, which gives them to another; ended in order it gives them back itself.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Tag, WorkerName
from bridge.agents.model import NormalWorker, Ping
from bridge.agents.service import Workers
from bridge.jobs.lanes import FLOW, lane_of
from bridge.jobs.model import Completion, Pulled, error_object
from bridge.jobs.service import Jobs
from bridge.worker.held import Handler, Held
from bridge.worker.machine import Machine
from bridge.worker.occupancy import Occupancy

TURNS: Final = 4  # of flows at once: the store takes one change after the other anyway
PULL_S: Final = 30.0  # a pull waits so long, and costs nothing meanwhile
PING_S: Final = 2.0  # a job that nobody pings is taken from its worker
PRESENCE_S: Final = 5.0
AGAIN_S: Final = 1.0  # while the store is away
STOPPED: Final = "its worker was stopped"
REFUSED: Final = "the store refused what came of it"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who a worker is, for people and for the store."""

    name: str
    group: str
    machine: Machine
    slots: int
    tags: Callable[[], Sequence[str]]  # now


class Worker:
    def __init__(
        self, about: About, jobs: Jobs, workers: Workers, handlers: Mapping[str, Handler], clock: Clock
    ) -> None:
        """`handlers`: by the kind of job."""
        self._about = about
        self._jobs = jobs
        self._workers = workers
        self._handlers = handlers
        self._clock = clock
        self._held: dict[str, Held] = {}  # by job
        self._executed = 0
        self._last: Pulled | None = None
        self._occupancy = Occupancy(about.slots, clock.monotonic_s())

    async def run(self) -> None:
        """Until the jobs' room is closed and what runs has ended; or, cancelled, at once."""
        about = self._about
        log.info("worker.started", worker=about.name, tags=list(about.tags()), slots=about.slots)
        try:
            async with asyncio.TaskGroup() as beside:
                told = beside.create_task(self._tell_for_ever(), name="presence")
                pinging = beside.create_task(self._ping_for_ever(), name="job pings")
                async with asyncio.TaskGroup() as work:
                    for places, lanes in ((TURNS, self._turn_lanes), (about.slots, self._slot_lanes)):
                        if lanes():
                            work.create_task(self._take_all(work, places, lanes), name=f"take {places}")
                told.cancel()
                pinging.cancel()
        finally:
            await self._give_back()
            log.info("worker.stopped", worker=about.name, jobs=self._executed)

    def _turn_lanes(self) -> list[str]:
        return [tag for tag in self._about.tags() if _is_for_turns(tag)]

    def _slot_lanes(self) -> list[str]:
        return [tag for tag in self._about.tags() if not _is_for_turns(tag)]

    async def _take_all(
        self, work: asyncio.TaskGroup, places: int, lanes: Callable[[], Sequence[str]]
    ) -> None:
        """Never pulls what it has no place for."""
        room = asyncio.Semaphore(places)
        while not self._jobs.closing:
            await room.acquire()
            job = await self._next(lanes())
            if job is None:
                room.release()
                continue
            held = self._held[job.job_id] = Held(job)  # before the first await: from now on it is pinged
            running = work.create_task(self._run(held), name=f"job {job.job_id}")
            running.add_done_callback(lambda _: room.release())

    async def _next(self, lanes: Sequence[str]) -> Pulled | None:
        if self._jobs.closing:
            return None
        try:
            return await self._jobs.pull_for_normal_worker(self._about.name, lanes, PULL_S)
        except WriteFailed as error:
            log.warning("pull.waits_for_the_store", reason=str(error))
            await asyncio.sleep(AGAIN_S)
            return None

    async def _run(self, held: Held) -> None:
        job = held.job
        takes_slot = not _is_for_turns(lane_of(job.kind, job.tag))
        if takes_slot:
            self._occupancy.begins(self._clock.monotonic_s())
        try:
            await self._handled(held)
        finally:
            if takes_slot:
                self._occupancy.ends(self._clock.monotonic_s())
        del self._held[job.job_id]
        self._executed += 1
        self._last = job

    async def _handled(self, held: Held) -> None:
        """A handler that fails is a bug of ours, and costs its job only."""
        job = held.job
        handler = self._handlers.get(job.kind)
        try:
            if handler is None:
                await self._fail(job, "UnknownKind", f"this normal worker runs no jobs of kind {job.kind}")
            else:
                await handler(held)
        except WriteFailed as error:  # the job is as it was; without pings it is soon another turn's
            log.warning("job.waits_for_the_store", job_id=job.job_id, kind=job.kind, reason=str(error))
            await self._let_go(held)
        except Exception as error:
            log.exception("job.broke_its_handler", job_id=job.job_id, kind=job.kind)
            with suppress(WriteFailed):
                await self._fail(job, "InternalError", f"{type(error).__name__}: {error}")

    async def _fail(self, job: Pulled, name: str, message: str) -> None:
        error = json.dumps(error_object(name, message)).encode()
        await self._jobs.complete(job.workspace, job.job_id, Completion(success=False, result=error))

    async def _let_go(self, held: Held) -> None:
        """Once the store is there again: for another turn, or whoever takes it next."""
        while not held.is_lost:
            await asyncio.sleep(AGAIN_S)
            with suppress(WriteFailed):
                await self._jobs.give_up({held.job.job_id: REFUSED})
                return

    async def _give_back(self) -> None:
        """What was pulled and not ended, for whoever comes next.

        A script that may run once only has begun here, and so it is never begun again (I2).
        """
        begun = {
            job_id: STOPPED
            for job_id, held in self._held.items()
            if held.has_begun and not held.is_lost and _may_not_repeat(held.job)
        }
        try:
            if begun:
                await self._jobs.give_up(begun)
            if count := await self._jobs.put_back(self._about.name, frozenset()):
                log.info("jobs.put_back", jobs=count)
        except WriteFailed as error:
            log.warning("jobs.left_to_the_sweep", reason=str(error))

    async def _ping_for_ever(self) -> None:
        with self._jobs.cancels.watched(self._about.name) as news:
            while True:
                news.clear()
                try:
                    await self._ping()
                except WriteFailed as error:
                    log.warning("ping.waits_for_the_store", reason=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(PING_S):
                        await news.wait()

    async def _ping(self) -> None:
        held = list(self._held.values())
        if not held:
            return
        replies = await self._jobs.ping_all([one.job.job_id for one in held], self._about.name)
        for one, reply in zip(held, replies, strict=True):
            if reply.already_completed:
                one.lose()
            elif reply.canceled_by is not None:
                one.stop.request(reply.canceled_by, reply.canceled_reason or "")

    async def _tell_for_ever(self) -> None:
        """The worker is there: the Workers page, and what asks which tags are served."""
        machine = self._about.machine
        ping = Ping(
            ping_type="Initial", worker_instance=machine.hostname, ip="unknown", version=machine.version,
            vcpus=machine.vcpus, memory=machine.memory_bytes, job_isolation="none", native_mode=False,
        )  # fmt: skip
        while True:
            self._workers.ping(self._known(), ping)
            await asyncio.sleep(PRESENCE_S)
            ping = self._figures()

    def _known(self) -> NormalWorker:
        about = self._about
        return NormalWorker(WorkerName(about.name), about.group, frozenset(map(Tag, about.tags())))

    def _figures(self) -> Ping:
        busy = self._occupancy
        busy.sample(self._clock.monotonic_s())
        last = next((held.job for held in self._held.values()), self._last)
        return Ping(
            ping_type="MainLoop",
            jobs_executed=self._executed,
            wm_memory_usage=self._about.machine.used_bytes(),
            occupancy_rate=busy.of_all_time,
            occupancy_rate_15s=busy.over(15.0),
            occupancy_rate_5m=busy.over(300.0),
            occupancy_rate_30m=busy.over(1800.0),
            last_job_executed=None if last is None else last.job_id,
            last_job_workspace_id=None if last is None else last.workspace,
        )


def _is_for_turns(lane: str) -> bool:
    return lane_of(FLOW, lane) == lane


def _may_not_repeat(job: Pulled) -> bool:
    return job.delivery == "at_most_once" or job.replace == "never"
