"""What the bridge does on the broker: declare, publish with confirms, consume. Any trouble ends all of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from time import perf_counter
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel

from agent.broker_session import (
    CONNECT_S,
    Arrived,
    Session,
    Unroutable,
    message_of,
    open_session,
    session_errors,
)
from agent.tls.outbound import SYSTEM, Outbound
from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import Envelope
from agent.wire.routing import CONTROL, DEAD, EVENTS, JOBS, LOGS, control_queue, job_key
from bridge.broker.topology import EXCHANGES, Queue, Topology
from bridge.errors import BrokerDown
from bridge.metrics.figures import PUBLISH_CONFIRM_S, PUBLISH_FAILURES

HEARTBEAT_S: Final = 20
HEADER_MAX: Final = 1000  # characters of one header of a dead letter

QueueGone = Callable[[Tag], Awaitable[None]]


def broker_down(why: str) -> BrokerDown:
    return BrokerDown(f"RabbitMQ is unreachable: {why}")


def broker_errors() -> AbstractContextManager[None]:
    """For what is done with a message outside: an acknowledgement."""
    return session_errors(broker_down)


def dead_letter(body: bytes, reason: str, about: Mapping[str, str]) -> Envelope:
    """RabbitMQ ends the connection for headers over 128 KiB, and others wrote what stands in these."""
    return Envelope(
        body, None, {name: text[:HEADER_MAX] for name, text in {**about, "reason": reason}.items()}
    )


class Broker:
    """Made by `connect`."""

    def __init__(self, session: Session, topology: Topology, queue_gone: QueueGone) -> None:
        self._session = session
        self._topology = topology
        self._queue_gone = queue_gone
        self._making = asyncio.Lock()  # two that find a queue gone must not both say so
        self._declarer: AbstractChannel  # on the connection that an alarm of the broker does not block
        self._declared: set[str] = set()

    @property
    def blocked(self) -> str:
        """Why RabbitMQ takes nothing from us now; empty while it does."""
        return self._session.blocked

    async def blocked_changed(self) -> None:
        await self._session.changes.newer_than(self._session.changes.version)

    async def ensure_tag(self, tag: Tag) -> None:
        if self._topology.tag(tag).name not in self._declared:
            await self._make_tag(tag)

    async def ensure_agent(self, worker: WorkerName) -> None:
        if self._topology.agent(worker).name not in self._declared:
            await self._make(self._topology.agent(worker))

    async def admit(self, worker: WorkerName, tags: Iterable[Tag]) -> None:
        """Declare all that this agent needs, known or not: it may come because some of it is gone."""
        await self._make(self._topology.agent(worker))
        for tag in tags:
            await self._make_tag(tag)

    async def publish_job(self, workspace: str, tag: Tag, envelope: Envelope) -> None:
        """Hop 2: persistent, mandatory, confirmed. What comes back unroutable declares anew, never lost."""
        await self._publish(JOBS, job_key(workspace, tag), envelope, lambda: self._make_tag(tag))

    async def publish_control(self, worker: WorkerName, envelope: Envelope) -> None:
        key = control_queue(worker)
        await self._publish(CONTROL, key, envelope, lambda: self._make(self._topology.agent(worker)))

    async def publish_dead(self, body: bytes, reason: str, about: Mapping[str, str]) -> None:
        await self._publish(DEAD, "", dead_letter(body, reason, about), self._make_fixed)

    async def consume(self, queue_name: str, prefetch: int, arrived: Arrived) -> None:
        """Hand every message of `queue_name` to `arrived`, which acknowledges it."""
        with broker_errors():
            channel = await self._session.channel()
        await self._session.consume(channel, queue_name, prefetch, arrived)

    async def waiting(self, tag: Tag) -> int:
        """Jobs of this tag that RabbitMQ has handed to nobody. Raises `BrokerDown`."""
        count = await self._session.waiting(self._topology.tag(tag).name)
        if count is None:
            await self._make_tag(tag)
        return count or 0

    async def waiting_for(self, worker: WorkerName) -> int:
        """What was told to this agent and RabbitMQ has not handed to it. Raises `BrokerDown`."""
        return await self._session.waiting(self._topology.agent(worker).name) or 0

    async def log_waits(self) -> bool:
        """Whether log text is in RabbitMQ that nobody has been handed. Raises `BrokerDown`."""
        return bool(await self._session.waiting(LOGS))

    async def answers(self) -> None:
        """Returns when RabbitMQ has answered on the connection that consumes. Raises `BrokerDown`."""
        await self._session.has_queue(EVENTS)

    async def lost(self) -> None:
        """Return never; raise `BrokerDown` when the session is gone."""
        await self._session.lost()

    async def _begin(self) -> None:
        with broker_errors():
            async with asyncio.timeout(CONNECT_S):
                self._declarer = await self._session.channel()
        await self._make_fixed()

    async def _make_fixed(self) -> None:
        with broker_errors():
            async with asyncio.timeout(CONNECT_S):
                for exchange in EXCHANGES:
                    await self._declarer.declare_exchange(exchange.name, exchange.kind, durable=True)
                for queue in self._topology.fixed():
                    await self._declare(queue)

    async def _make_tag(self, tag: Tag) -> None:
        """When it is gone, what waited in it is gone too: said before there is a new one to publish to."""
        queue = self._topology.tag(tag)
        async with self._making:
            if not await self._session.has_queue(queue.name):
                await self._queue_gone(tag)
            await self._make(queue)

    async def _make(self, queue: Queue) -> None:
        with broker_errors():
            async with asyncio.timeout(CONNECT_S):
                await self._declare(queue)

    async def _declare(self, queue: Queue) -> None:
        declared = await self._declarer.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        for exchange, key in queue.bindings:
            await declared.bind(exchange, key)
        self._declared.add(queue.name)

    async def _publish(
        self, exchange: str, key: str, envelope: Envelope, declare: Callable[[], Awaitable[None]]
    ) -> None:
        message = message_of(envelope)
        try:
            await self._publish_once(exchange, message, key)
        except Unroutable:
            await declare()
            await self._publish_again(exchange, message, key)

    async def _publish_again(self, exchange: str, message: aio_pika.Message, key: str) -> None:
        try:
            await self._publish_once(exchange, message, key)
        except Unroutable as error:
            raise broker_down(str(error)) from error

    async def _publish_once(self, exchange: str, message: aio_pika.Message, key: str) -> None:
        began_s = perf_counter()
        try:
            await self._session.publish(exchange, message, key)
        except Unroutable:
            PUBLISH_FAILURES.labels("unroutable").inc()
            raise
        except BrokerDown:
            PUBLISH_FAILURES.labels("no_confirm").inc()
            raise
        PUBLISH_CONFIRM_S.observe(perf_counter() - began_s)


@asynccontextmanager
async def connect(
    url: str, topology: Topology, queue_gone: QueueGone, outbound: Outbound = SYSTEM
) -> AsyncIterator[Broker]:
    """A session with everything declared, for as long as the block lasts. Raises `BrokerDown`.

    `queue_gone` is told of a tag whose queue was not there: what was published to it has to go out again.
    """
    async with open_session(url, "orvanta bridge", HEARTBEAT_S, broker_down, outbound) as session:
        broker = Broker(session, topology, queue_gone)
        await broker._begin()  # noqa: SLF001 the second half of making one
        yield broker
