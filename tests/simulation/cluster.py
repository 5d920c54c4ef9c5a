"""A model of the cluster: it hands out jobs, is asked about them, and records how each ended, once."""

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from agent.wire.agent_api import canceler
from agent.wire.claims import JobId, Tag
from agent.wire.messages import Delivery, Result
from bridge.errors import ClusterDown
from bridge.relay.ledger import Custody
from bridge.relay.policy import Replace
from bridge.relay.sources.source import PingReply, Pulled
from tests.simulation.clock import EPOCH_S
from tests.simulation.loop import Pause, VirtualLoop
from tests.simulation.process import Process

CALL_S: Final = (0.0005, 0.02)
FORGOTTEN: Final = 0.1  # of results, by a cluster that is sabotaged
LOST_ANSWERS: Final = 0.01  # of calls, where the answer is lost on the way back


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A job as somebody asks for it."""

    job_id: JobId
    tag: Tag
    delivery: Delivery
    takes_s: float
    result_chars: int
    lines: int
    language: str = "bash"
    priority: int | None = None
    lost_after_s: float | None = None
    replace: Replace | None = None
    not_after_s: float | None = None  # from its submission


@dataclass(frozen=True, slots=True)
class Offer:
    """A result as it came; the cluster keeps the first."""

    attempt: int
    success: bool
    document: bytes
    canceled_by: str | None
    life: int  # of the bridge, counted
    at_s: float = 0.0


@dataclass(eq=False)
class SimJob:
    spec: Spec
    submitted_s: float
    state: str = "queued"
    canceled_by: str | None = None
    results: list[Offer] = field(default_factory=list)
    log: str = ""
    written: dict[str, int] = field(default_factory=dict)  # characters of each writer's stream

    @property
    def deadline_s(self) -> float:
        """By the true time."""
        return math.inf if self.spec.not_after_s is None else self.submitted_s + self.spec.not_after_s


class SimCluster:
    def __init__(self, loop: VirtualLoop, draw: Random) -> None:
        self.loop = loop
        self.draw = draw
        self.is_down = False
        self.forgets = False  # sabotage: of some results it says that they are recorded, and they are not
        self.deadlines_lie_by_s = 0.0  # sabotage: a job is handed out with less time than it has
        self.jobs: dict[JobId, SimJob] = {}
        self._pushed = asyncio.Event()

    def submit(self, spec: Spec) -> None:
        self.jobs[spec.job_id] = SimJob(spec, self.loop.time())
        self.wake()

    def call(self) -> Pause:
        """As long as one way to the cluster or back takes."""
        return self.loop.pause(self.draw.uniform(*CALL_S))

    def wake(self) -> None:
        self._pushed.set()
        self._pushed.clear()

    async def pushed(self) -> None:
        await self._pushed.wait()

    def cancel(self, job_id: JobId) -> None:
        job = self.jobs.get(job_id)
        if job is None or job.state == "completed" or job.canceled_by:
            return
        job.canceled_by = "ada"
        if job.state == "queued":
            job.state = "completed"
            job.results.append(Offer(0, False, b'"canceled"', "ada", 0))

    def queued(self) -> list[SimJob]:
        """As the embedded cluster at a pull: what is too late ends here."""
        now_s = self.loop.time()
        queued = [job for job in self.jobs.values() if job.state == "queued"]
        for job in queued:
            if job.deadline_s <= now_s:
                job.state = "completed"
                job.results.append(Offer(0, False, b'{"name": "Expired"}', None, 0, now_s))
        return [job for job in queued if job.state == "queued"]

    def open_jobs(self) -> list[SimJob]:
        return [job for job in self.jobs.values() if job.state != "completed"]


class SimSource:
    """One bridge's way to the cluster. A call may fail before it had an effect, or after."""

    ping_every_s = 30.0
    pings_at_once = 2
    keeps_languages_back = True
    idle_s = 20.0

    def __init__(self, cluster: SimCluster, process: Process) -> None:
        self._cluster = cluster
        self._process = process

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        return [frozenset((tag,)) for tag in sorted(served)]

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        await self._reach()
        known = languages or {"bash"}
        queued = [job for job in self._cluster.queued() if job.spec.tag in lane]
        jobs = [job for job in queued if job.spec.language in known]
        if not jobs:
            return None
        job = min(jobs, key=lambda one: (-(one.spec.priority or 0), one.submitted_s))
        job.state = "running"
        await self._cluster.call()
        self._process.step()
        return _pulled(job, self._cluster.deadlines_lie_by_s)

    async def put_back(self, out: frozenset[JobId]) -> None:
        self._process.step()
        for job_id, job in self._cluster.jobs.items():
            if job.state == "running" and job_id not in out:
                job.state = "queued"
        self._cluster.wake()

    async def wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._cluster.pushed()
        except TimeoutError:
            pass

    async def ping_all(self, custodies: Sequence[Custody]) -> Sequence[PingReply]:
        await self._reach()
        jobs = [self._cluster.jobs[custody.job_id] for custody in custodies]
        return [PingReply(job.canceled_by, "unwanted", job.state == "completed") for job in jobs]

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        await self._reach()
        if self._cluster.forgets and self._cluster.draw.random() < FORGOTTEN:
            return
        job = self._cluster.jobs[custody.job_id]
        life = self._process.number
        job.results.append(
            Offer(result.attempt, result.success, document, canceler(result), life, self._cluster.loop.time())
        )
        job.state = "completed"
        await self._come_back()

    async def push_log(self, custody: Custody, writer: str, start: int, text: str, *, missing: int) -> None:
        """Each character once, gaps marked: as the embedded cluster's `append_once`."""
        del missing
        await self._reach()
        job = self._cluster.jobs[custody.job_id]
        written = job.written.get(writer, 0)
        if start > written:
            job.log += "\n[... dropped ...]\n"
        job.log += text[max(0, written - start) :]
        job.written[writer] = max(written, start + len(text))
        await self._come_back()

    async def _reach(self) -> None:
        self._process.step()
        await self._cluster.call()
        self._process.step()
        if self._cluster.is_down:
            raise ClusterDown("the simulated cluster is down")

    async def _come_back(self) -> None:
        await self._cluster.call()
        self._process.step()
        if self._cluster.draw.random() < LOST_ANSWERS:
            raise ClusterDown("the answer was lost")


def _pulled(job: SimJob, lie_s: float) -> Pulled:
    spec = job.spec
    not_after = None if spec.not_after_s is None else EPOCH_S + job.deadline_s - lie_s
    return Pulled(
        job_id=spec.job_id,
        workspace="main",
        tag=spec.tag,
        kind="preview",
        path=None,
        language=spec.language,
        code="simulated",
        lock=None,
        args=b"{}",
        timeout_s=None,
        delivery=spec.delivery,
        lost_after_s=spec.lost_after_s,
        replace=spec.replace,
        not_after=not_after,
        priority=spec.priority,
        created_by="ada",
        permissioned_as="u/ada",
        env={},
        token="t",
        job_json=json.dumps({"delivery": spec.delivery}),
    )
