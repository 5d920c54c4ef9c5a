"""A simulated site: the real agent on a simulated disk, link and executor."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from agent.app import Agent, Parts
from agent.compression import compress, decompress
from agent.errors import LinkDown
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.link.link import Enrolment
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import JobId, Tag, TokenId, WorkerName
from agent.wire.envelope import pack, seal, unpack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import Blob, Cancel, Job, Message, Rejected
from agent.wire.routing import UP, control_queue, job_queue, up_key
from agent.wire.tokens import broker_login
from tests.simulation.broker import Consumer, Delivered, Mail, Party, Session, SimBroker
from tests.simulation.clock import SimClock
from tests.simulation.cluster import SimCluster
from tests.simulation.disk import Disk, SimBlobs, SimDatabase, SimFolder
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Killed, Process

DECIDED_S: Final = 1.0  # at most so long before its start is a start decided


@dataclass(frozen=True, slots=True)
class Start:
    """A job's process as seen from outside."""

    job_id: JobId
    attempt: int
    site: str
    tag: Tag
    at_s: float
    document: bytes
    lines: tuple[str, ...]
    knew_time: bool  # the site had heard from the bridge since its machine came up


class Journal:
    """What the jobs themselves would have written down."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.cancelled: dict[tuple[str, JobId, int], float] = {}  # the custodian took the cancel: when
        self.violations: list[str] = []
        self.parts: dict[tuple[str, JobId, int, str], list[tuple[int, SimLink]]] = {}  # of documents, as sent
        self.sent_back: set[tuple[str, JobId, int]] = (
            set()
        )  # the broker has the word that it is not run there


class SimSite:
    def __init__(
        self,
        name: str,
        tags: Sequence[Tag],
        loop: VirtualLoop,
        broker: SimBroker,
        cluster: SimCluster,
        journal: Journal,
        draw: Random,
        enrol: Callable[["SimSite"], Any],
        *,
        slots: int,
        ahead: int | None,
        is_mixed: bool = False,
    ) -> None:
        self.name = name
        self.tags = tuple(tags)
        self.worker = WorkerName(f"ag-sim-{name}")
        self.loop = loop
        self.broker = broker
        self.cluster = cluster
        self.journal = journal
        self.draw = draw
        self.slots = slots
        self.ahead = ahead
        self.is_mixed = is_mixed
        self.party = Party(name)
        self.disk = Disk(MIGRATIONS, draw)
        self.clock = SimClock(loop, draw)
        self.repeats_starts = False  # sabotage: every job's process is started twice
        self.process: Process | None = None
        self._enrol = enrol
        self._told: tuple[str, int | None, float] = (
            "",
            None,
            0.0,
        )  # in which boot; which process, if only it; when

    def start(self, *, dies_at_step: int | None = None) -> None:
        if self.process is None or not self.process.alive:
            self.process = Process(self.loop, self.name, dies_at_step=dies_at_step)
            self.process.start(self._main(self.process))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def knows_time(self) -> bool:
        """Between a decision to start and the start stands a commit: what is told then comes too late."""
        boot, only, at_s = self._told
        known = boot == self.clock.boot_id() and only in (None, self.process and self.process.number)
        return known and self.loop.time() - at_s > DECIDED_S

    @property
    def languages(self) -> list[str]:
        """What it can run in this life. One site always runs bun, one never, and one in every second life."""
        if not self.is_mixed:
            return []
        life = 0 if self.process is None else self.process.number
        runs_bun = self.name == "b" or (self.name == "a" and life % 2 == 0)
        return ["bash", "bun"] if runs_bun else ["bash"]

    def held(self) -> int:
        return self.disk.rows("SELECT count(*) FROM held")[0][0]

    def log_pieces(self) -> int:
        return self.disk.rows("SELECT count(*) FROM log_chunk")[0][0]

    async def _main(self, process: Process) -> None:
        spool = Spool(
            SimFolder(self.disk, self.name),
            SimBlobs(self.disk, process),
            SimDatabase(self.disk, process),
            self.clock,
        )
        parts = Parts(
            clock=self.clock,
            executor=SimExecutor(self, process),
            enrol=lambda _suffix, _about: self._enrolled(process),
            connect=lambda _enrolment, _holdings: self._connect(process),
            languages=self.languages,
        )
        await Agent(spool, parts, base_url="http://bridge.sim", slots=self.slots, ahead=self.ahead).run()

    async def _enrolled(self, process: Process) -> Enrolment:
        process.step()
        await self.loop.pause(2 * self.broker.latency_s())
        process.step()
        if self.party.is_cut:
            raise LinkDown("cannot reach the bridge")
        try:
            enrolment = await self._enrol(self)
        except Killed:
            if process.alive:
                raise LinkDown("the bridge died while it answered") from None
            raise
        kept = None if not self.disk.is_full else process.number  # a full disk keeps nothing for the next one
        self._told = (self.clock.boot_id(), kept, self.loop.time())
        return enrolment

    @asynccontextmanager
    async def _connect(self, process: Process) -> AsyncIterator["SimLink"]:
        session = await Session.connected(self.broker, self.party, process, LinkDown)
        try:
            yield SimLink(self, session)
        finally:
            session.close()


class SimLink:
    """Implements `agent.link.link.Link` on a session with the model."""

    vouches = False

    def __init__(self, site: SimSite, session: Session) -> None:
        self._site = site
        self._session = session
        self._jobs: asyncio.Queue[SimDelivery] = asyncio.Queue()
        self._control: asyncio.Queue[SimDelivery] = asyncio.Queue()
        self._consumers: dict[Tag, Consumer] = {}
        session.consume(
            control_queue(site.worker), 100, lambda one: self._control.put_nowait(SimDelivery(site, one))
        )

    @property
    def blocked(self) -> str:
        return self._site.broker.alarm

    async def blocked_changed(self) -> None:
        await self._site.broker.alarms.newer_than(self._site.broker.alarms.version)

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        self._count_parts(messages)
        envelope = seal(pack(messages), compress)
        worker = self._site.worker
        login = broker_login(worker, TokenId("sim"))
        mail = Mail(up_key(kind, worker), envelope.body, {}, envelope.content_encoding, login)
        await self._session.publish(UP, mail)
        self._site.journal.sent_back.update(
            (self._site.name, JobId(one.job_id), one.attempt)
            for one in messages
            if isinstance(one, Rejected) and one.language
        )

    def _count_parts(self, messages: Sequence[Message]) -> None:
        for part in (one for one in messages if isinstance(one, Blob)):
            document = (self._site.name, part.job_id, part.attempt, part.sha256)
            self._site.journal.parts.setdefault(document, []).append((part.index, self))

    async def open_tag(self, tag: Tag, prefetch: int) -> None:
        await self._session.call()
        if job_queue(tag) not in self._site.broker.queues:
            raise LinkDown(f"no queue {job_queue(tag)}")
        self._consumers[tag] = self._session.consume(
            job_queue(tag), prefetch, lambda one: self._jobs.put_nowait(SimDelivery(self._site, one))
        )

    async def close_tag(self, tag: Tag) -> None:
        await self._session.call()
        self._session.cancel(job_queue(tag), self._consumers.pop(tag))

    async def next_job(self) -> "SimDelivery":
        return await self._jobs.get()

    async def next_control(self) -> "SimDelivery":
        return await self._control.get()

    async def lost(self) -> None:
        await self._session.gone.wait()
        raise LinkDown(self._session.lost_why or "")


class SimDelivery:
    """A delivery whose acknowledgement is watched: it may come only after the spool holds the job (I3)."""

    def __init__(self, site: SimSite, delivered: Delivered) -> None:
        self._site = site
        self._delivered = delivered
        self.body = delivered.body
        self.headers = delivered.headers
        self.content_encoding = delivered.content_encoding
        self._over = self._over_now() if self.headers.get("forged") == "words" else set()

    async def ack(self) -> None:
        messages = self._messages()
        self._must_not_be_let_go(self._over - self._over_now())
        for message in messages:
            if isinstance(message, Job) and self._is_to_be_held(message, alone=len(messages) == 1):
                self._must_be_held(message)
            if isinstance(message, Cancel) and "forged" not in self.headers:
                key = (self._site.name, message.job_id, message.attempt)
                self._site.journal.cancelled.setdefault(key, self._site.loop.time())
        await self._delivered.ack()

    def _over_now(self) -> set[JobId]:
        """Jobs of which a result is kept."""
        rows = self._site.disk.rows("SELECT job_id FROM held WHERE state IN ('finished', 'sent')")
        return {JobId(row["job_id"]) for row in rows}

    def _must_not_be_let_go(self, gone: set[JobId]) -> None:
        """A forged receipt costs nothing: what is gone beside it, the cluster has (I1)."""
        for job_id in sorted(gone):
            if not self._site.cluster.jobs[job_id].results:
                self._site.journal.violations.append(
                    f"I1: {self._site.name} let the result of {job_id} go, and nobody has recorded it"
                )

    def _messages(self) -> list[Message]:
        try:
            return unpack(unseal(self.body, self.content_encoding, decompress))
        except WireError:  # it is refused, and held by nobody
            return []

    def _is_to_be_held(self, job: Job, *, alone: bool) -> bool:
        """Unless it is forged, or the broker has the word that it is sent back."""
        if (self._site.name, job.job_id, job.attempt) in self._site.journal.sent_back:
            return False
        return alone and job.tag in self._site.tags and "forged" not in self.headers

    def _must_be_held(self, job: Job) -> None:
        found = self._site.disk.rows(
            "SELECT 1 FROM held WHERE job_id = ?1 AND attempt = ?2"
            " UNION ALL SELECT 1 FROM seen WHERE job_id = ?1 AND attempt = ?2",
            job.job_id,
            job.attempt,
        )
        if not found:
            self._site.journal.violations.append(
                f"I3: {self._site.name} acknowledged {job.job_id} without holding it"
            )


class SimExecutor:
    """Runs a job for its time and writes what it does into the journal."""

    def __init__(self, site: SimSite, process: Process) -> None:
        self._site = site
        self._process = process

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome:
        self._process.step()
        site = self._site
        attempt = int(task.env["ORVANTA_ATTEMPT"])
        known = site.cluster.jobs.get(JobId(task.job_id))
        if known is None or task.code != "simulated":
            site.journal.violations.append(f"I4: {site.name} ran {task.job_id}, which nobody submitted so")
            return Outcome(success=True, result=b"null", duration_ms=0)
        spec = known.spec
        number = len(site.journal.starts)
        document = json.dumps({"run": number, "of": spec.job_id, "text": "y" * spec.result_chars}).encode()
        lines = tuple(f"{spec.job_id} run {number} line {line};\n" for line in range(spec.lines))
        site.journal.starts.append(
            Start(
                spec.job_id,
                attempt,
                site.name,
                spec.tag,
                site.loop.time(),
                document,
                lines,
                site.knows_time(),
            )
        )
        if site.repeats_starts:
            site.journal.starts.append(site.journal.starts[-1])
        self._process.step()
        for line in lines:
            sink(line)
            if await _stopped_within(stop, spec.takes_s / len(lines)):
                error = json.dumps({"run": number, "of": spec.job_id, "canceled": True}).encode()
                return Outcome(
                    success=False,
                    result=error,
                    duration_ms=1,
                    canceled_by=stop.by,
                    canceled_reason=stop.reason,
                )
        self._process.step()
        return Outcome(success=True, result=document, duration_ms=int(spec.takes_s * 1000))


async def _stopped_within(stop: Stop, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.requested()
    except TimeoutError:
        return False
    return True
