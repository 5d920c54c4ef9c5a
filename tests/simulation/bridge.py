"""The real relay on a simulated store and session."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from agent.link.link import Enrolment
from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from agent.wire.envelope import Envelope
from agent.wire.routing import CONTROL, DEAD, JOBS, LOGS, control_queue, job_key, job_queue
from bridge.broker.channel import QueueGone, dead_letter
from bridge.errors import BrokerDown
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.life import Relay
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from tests.simulation.broker import Delivered, Mail, Party, Session, SimBroker
from tests.simulation.clock import SimClock
from tests.simulation.cluster import SimCluster, SimSource
from tests.simulation.disk import Disk, SimDatabase
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process


async def _nobody_is_revoked(_token: TokenId) -> bool:
    return False


class SimBridge:
    def __init__(
        self,
        loop: VirtualLoop,
        broker: SimBroker,
        cluster: SimCluster,
        disk: Disk,
        clock: SimClock,
        policies: Policies,
        *,
        ready_max: int,
    ) -> None:
        self.loop = loop
        self.broker = broker
        self.cluster = cluster
        self.disk = disk
        self.clock = clock
        self.policies = policies
        self.ready_max = ready_max
        self.party = Party("bridge")
        self.process: Process | None = None
        self._desk: Desk | None = None
        self._ledger: Ledger | None = None
        self._signer: Signer | None = None

    def start(self, *, dies_at_step: int | None = None) -> None:
        if self.process is None or not self.process.alive:
            self.process = Process(self.loop, "bridge", dies_at_step=dies_at_step)
            self.process.start(self._main(self.process))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    async def enrol(
        self, worker: WorkerName, group: str, tags: tuple[Tag, ...], languages: Sequence[str] = ()
    ) -> Enrolment | None:
        """As `bridge.agents.enrol` answers; None while the bridge cannot."""
        process = self.process
        if process is None or not process.alive or self._desk is None:
            return None
        ledger, desk, signer = self._ledger, self._desk, self._signer
        try:
            await desk.admit(worker, frozenset(tags))
        except BrokerDown:
            return None
        others = [agent for agent in await ledger.agents() if agent["worker"] != worker]
        await ledger.enrol(
            Claims(worker=worker, worker_group=group, tags=frozenset(tags), expires_s=2**40),
            "0",
            1,
            languages=languages or None,
        )
        return Enrolment(
            worker=worker,
            worker_group=group,
            tags=tags,
            shared_tags=tuple(sorted(set(tags) & {tag for agent in others for tag in agent["tags"]})),
            amqp_url="amqp://sim",
            wall_s=self.clock.wall_s(),
            keys={kid: base64.b64encode(raw).decode() for kid, raw in signer.public_keys().items()},
            signs_control=True,
            routes_languages=bool(languages),
        )

    async def _main(self, process: Process) -> None:
        self._desk = None
        ledger = Ledger(SimDatabase(self.disk, process), self.clock)
        signer = await Signer.load(ledger)
        desk = Desk(lambda gone: self._connect(process, gone), ledger)
        source = SimSource(self.cluster, process)
        quarantine = Quarantine(ledger, Recorder(source, ledger, self.clock), _nobody_is_revoked)
        relay = Relay(
            desk,
            source,
            ledger,
            signer,
            self.clock,
            self.policies,
            quarantine,
            _unsigned,
            ready_max=self.ready_max,
        )
        self._ledger, self._signer, self._desk = ledger, signer, desk
        await relay.run()

    @asynccontextmanager
    async def _connect(self, process: Process, queue_gone: QueueGone) -> AsyncIterator["SimBrokerSession"]:
        session = await Session.connected(self.broker, self.party, process, BrokerDown)
        try:
            yield SimBrokerSession(self.broker, session, queue_gone)
        finally:
            session.close()


async def _unsigned(*_about: object) -> None:
    """The sites' devices have no keys here."""


class SimBrokerSession:
    """Stands where `bridge.broker.channel.Broker` stands."""

    def __init__(self, broker: SimBroker, session: Session, queue_gone: QueueGone) -> None:
        self._queue_gone = queue_gone
        self._making = asyncio.Lock()
        self._broker = broker
        self._session = session

    @property
    def blocked(self) -> str:
        return self._broker.alarm

    async def blocked_changed(self) -> None:
        await self._broker.alarms.newer_than(self._broker.alarms.version)

    async def admit(self, worker: WorkerName, tags: Iterable[Tag]) -> None:
        await self.ensure_agent(worker)
        for tag in tags:
            await self.ensure_tag(tag)

    async def ensure_tag(self, tag: Tag) -> None:
        async with self._making:
            if job_queue(tag) not in self._broker.queues:
                await self._queue_gone(tag)
            await self._ensure(job_queue(tag))

    async def ensure_agent(self, worker: WorkerName) -> None:
        await self._ensure(control_queue(worker))

    async def publish_job(self, workspace: str, tag: Tag, envelope: Envelope) -> None:
        await self._publish(JOBS, job_key(workspace, tag), envelope, lambda: self.ensure_tag(tag))

    async def publish_control(self, worker: WorkerName, envelope: Envelope) -> None:
        await self._publish(CONTROL, control_queue(worker), envelope, lambda: self.ensure_agent(worker))

    async def publish_dead(self, body: bytes, reason: str, about: Mapping[str, str]) -> None:
        await self._publish(DEAD, "", dead_letter(body, reason, about), None)

    async def consume(
        self, queue_name: str, prefetch: int, arrived: Callable[[Any], Awaitable[None]]
    ) -> None:
        await self._session.call()
        process = self._session.process

        def hand_over(delivered: Delivered) -> None:
            process.spawn(arrived(delivered))

        self._session.consume(queue_name, prefetch, hand_over)

    async def waiting_for(self, worker: WorkerName) -> int:
        await self._session.call()
        await self.ensure_agent(worker)
        return len(self._broker.queues[control_queue(worker)].ready)

    async def waiting(self, tag: Tag) -> int:
        await self._session.call()
        await self.ensure_tag(tag)
        return len(self._broker.queues[job_queue(tag)].ready)

    async def log_waits(self) -> bool:
        await self._session.call()
        return bool(self._broker.queues[LOGS].ready)

    async def answers(self) -> None:
        await self._session.call()

    async def lost(self) -> None:
        await self._session.gone.wait()
        raise BrokerDown(self._session.lost_why or "")

    async def _ensure(self, name: str) -> None:
        if name not in self._broker.queues:
            await self._session.call()
            self._broker.declare(name)

    async def _publish(
        self, exchange: str, key: str, envelope: Envelope, declare: Callable[[], Awaitable[None]] | None
    ) -> None:
        mail = Mail(key, envelope.body, envelope.headers, envelope.content_encoding)
        await self._session.publish(exchange, mail, declare)
