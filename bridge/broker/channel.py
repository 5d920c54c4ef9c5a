"""One session with the broker: declare, publish with confirms, consume. Any trouble ends all of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, PublishError

from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import CONTENT_TYPE, Envelope
from agent.wire.routing import CONTROL, DEAD, JOBS, control_queue, job_key
from bridge.broker.topology import EXCHANGES, QUEUES, Queue, agent_queue, tag_queue
from bridge.errors import BrokerDown

CONNECT_S: Final = 15.0
CONFIRM_S: Final = 30.0
CLOSE_S: Final = 3.0
HEARTBEAT_S: Final = 20

Consume = Callable[[AbstractIncomingMessage], Awaitable[None]]


@contextmanager
def broker_errors() -> Iterator[None]:
    """The one place where the client's errors become ours."""
    try:
        yield
    except (
        AMQPError,
        ChannelInvalidStateError,
        OSError,
        RuntimeError,
    ) as error:  # TimeoutError is an OSError
        raise BrokerDown(f"RabbitMQ is unreachable: {type(error).__name__}: {error}") from error
    except asyncio.CancelledError:
        # The client cancels its own waiters when a connection dies; only a real cancellation may pass as one.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerDown("RabbitMQ is unreachable: the connection was closed") from None


class Broker:
    """Made by `connect`."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._publisher: AbstractChannel
        self._exchanges: dict[str, aio_pika.abc.AbstractExchange] = {}
        self._declared: set[str] = set()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ensure_tag(self, tag: Tag) -> None:
        await self._ensure(tag_queue(tag))

    async def ensure_agent(self, worker: WorkerName) -> None:
        await self._ensure(agent_queue(worker))

    async def publish_job(self, workspace: str, tag: Tag, envelope: Envelope) -> None:
        """Hop 2: persistent, mandatory, confirmed. What comes back unroutable declares anew, never lost."""
        await self._publish(JOBS, job_key(workspace, tag), envelope, lambda: self._declare(tag_queue(tag)))

    async def publish_control(self, worker: WorkerName, envelope: Envelope) -> None:
        key = control_queue(worker)
        await self._publish(CONTROL, key, envelope, lambda: self._declare(agent_queue(worker)))

    async def publish_dead(self, body: bytes, reason: str, about: Mapping[str, str]) -> None:
        envelope = Envelope(body, None, {**about, "reason": reason[:1000]})
        await self._publish(DEAD, "", envelope, self._declare_fixed)

    async def consume(self, queue_name: str, prefetch: int, arrived: Consume) -> None:
        """Hand every message of `queue_name` to `arrived`, which acknowledges it."""
        with broker_errors():
            async with asyncio.timeout(CONNECT_S):
                channel = await self._connection.channel(publisher_confirms=False)
                channel.close_callbacks.add(self._closed)
                await channel.set_qos(prefetch_count=prefetch)
                underlay = await channel.get_underlay_channel()
                underlay.on_consumer_cancel_callbacks.add(self._consumer_cancelled)
                queue = await channel.get_queue(queue_name, ensure=False)
                await queue.consume(arrived)

    async def lost(self) -> None:
        """Return never; raise `BrokerDown` when the session is gone."""
        await asyncio.shield(self._gone)

    async def _begin(self) -> None:
        self._connection.close_callbacks.add(self._closed)
        self._publisher = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        self._publisher.close_callbacks.add(self._closed)
        await self._declare_fixed()

    async def _declare_fixed(self) -> None:
        for exchange in EXCHANGES:
            self._exchanges[exchange.name] = await self._publisher.declare_exchange(
                exchange.name, exchange.kind, durable=True
            )
        for queue in QUEUES:
            await self._declare(queue)

    async def _ensure(self, queue: Queue) -> None:
        if queue.name not in self._declared:
            with broker_errors():
                async with asyncio.timeout(CONNECT_S):
                    await self._declare(queue)

    async def _declare(self, queue: Queue) -> None:
        declared = await self._publisher.declare_queue(queue.name, durable=True, arguments=queue.arguments)
        for exchange, key in queue.bindings:
            await declared.bind(exchange, key)
        self._declared.add(queue.name)

    async def _publish(
        self, exchange: str, key: str, envelope: Envelope, declare: Callable[[], Awaitable[None]]
    ) -> None:
        message = aio_pika.Message(
            envelope.body,
            headers=dict(envelope.headers),
            content_type=CONTENT_TYPE,
            content_encoding=envelope.content_encoding,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        with broker_errors():
            async with asyncio.timeout(CONFIRM_S):
                try:
                    await self._exchanges[exchange].publish(message, key, mandatory=True)
                except PublishError:
                    await declare()
                    await self._exchanges[exchange].publish(message, key, mandatory=True)

    def _closed(self, _sender: Any, error: BaseException | None) -> None:
        self._fail(f"the connection to RabbitMQ was closed: {error}")

    def _consumer_cancelled(self, *_about: Any) -> None:
        self._fail("RabbitMQ cancelled a consumer; its queue is gone or moved")

    def _fail(self, why: str) -> None:
        if not self._gone.done():
            self._gone.set_exception(BrokerDown(why))
            self._gone.exception()  # read once here, so that an unwatched session does not warn


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Broker]:
    """A session with everything declared, for as long as the block lasts. Raises `BrokerDown`."""
    with broker_errors():
        async with asyncio.timeout(CONNECT_S):
            connection = await aio_pika.connect(
                url,
                heartbeat=HEARTBEAT_S,
                timeout=CONNECT_S,
                client_properties={"connection_name": "orvanta bridge"},
            )
    broker = Broker(connection)
    try:
        with broker_errors():
            async with asyncio.timeout(CONNECT_S):
                await broker._begin()  # noqa: SLF001 the second half of making one
        yield broker
    finally:
        try:
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
        except (AMQPError, OSError, RuntimeError):
            pass  # it is gone already, which is what was wanted
