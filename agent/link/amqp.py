"""The link over RabbitMQ: one supervised session on a plain connection; any trouble ends all of it.

aio-pika's robust connection is known to come back with no consumer (its issues 231, 334), so a
session is torn down whole and built anew by `life.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from agent.compression import compress
from agent.errors import LinkDown
from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import CONTENT_TYPE, pack, seal
from agent.wire.messages import Message
from agent.wire.routing import UP, control_queue, job_queue, up_key

CONNECT_S: Final = 15.0
CONFIRM_S: Final = 30.0
CLOSE_S: Final = 3.0
HEARTBEAT_S: Final = 10
CONTROL_PREFETCH: Final = 100
ARRIVED_MAX: Final = 1000  # deliveries in hand; far above what the prefetches let in


@contextmanager
def link_errors() -> Iterator[None]:
    """The one place where the client's errors become ours."""
    try:
        yield
    except (
        AMQPError,
        ChannelInvalidStateError,
        OSError,
        RuntimeError,
    ) as error:  # TimeoutError is an OSError
        raise LinkDown(f"broker unreachable: {type(error).__name__}: {error}") from error
    except asyncio.CancelledError:
        # The client cancels its own waiters when a connection dies; only a real cancellation may pass as one.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LinkDown("broker unreachable: the connection was closed") from None


class AmqpDelivery:
    """One message from a queue, unacknowledged until `ack`."""

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self._message = message
        self.body: bytes = message.body
        self.content_encoding: str | None = message.content_encoding
        self.headers: Mapping[str, object] = message.headers

    async def ack(self) -> None:
        with link_errors():
            await self._message.ack()


class AmqpLink:
    """Made by `connect`; implements `link.Link`."""

    def __init__(self, worker: WorkerName, connection: AbstractConnection) -> None:
        self._worker = worker
        self._connection = connection
        self._up: AbstractExchange
        self._consumers: dict[Tag, tuple[AbstractQueue, str]] = {}
        self._jobs: asyncio.Queue[AmqpDelivery] = asyncio.Queue(ARRIVED_MAX)
        self._control: asyncio.Queue[AmqpDelivery] = asyncio.Queue(ARRIVED_MAX)
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        envelope = seal(pack(messages), compress)
        message = aio_pika.Message(
            envelope.body,
            content_type=CONTENT_TYPE,
            content_encoding=envelope.content_encoding,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            type=kind,
        )
        with link_errors():
            async with asyncio.timeout(CONFIRM_S):
                await self._up.publish(message, up_key(kind, self._worker), mandatory=True)

    async def open_tag(self, tag: Tag, prefetch: int) -> None:
        if tag in self._consumers:
            return
        with link_errors():
            async with asyncio.timeout(CONNECT_S):
                channel = await self._channel(prefetch)
                queue = await channel.get_queue(job_queue(tag), ensure=False)
                consumer = await queue.consume(self._job_arrived)
                self._consumers[tag] = (queue, consumer)

    async def close_tag(self, tag: Tag) -> None:
        if tag not in self._consumers:
            return
        queue, consumer = self._consumers.pop(tag)
        with link_errors():
            async with asyncio.timeout(CONNECT_S):
                await queue.cancel(consumer)

    async def next_job(self) -> AmqpDelivery:
        return await self._jobs.get()

    async def next_control(self) -> AmqpDelivery:
        return await self._control.get()

    async def lost(self) -> None:
        await asyncio.shield(self._gone)

    async def _begin(self) -> None:
        # A close during the handshake below is noticed too, so this comes first.
        self._connection.close_callbacks.add(self._closed)
        publisher = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        publisher.close_callbacks.add(self._closed)
        self._up = await publisher.get_exchange(UP, ensure=False)
        control = await self._channel(CONTROL_PREFETCH)
        queue = await control.get_queue(control_queue(self._worker), ensure=False)
        await queue.consume(self._control_arrived)

    async def _channel(self, prefetch: int) -> aio_pika.abc.AbstractChannel:
        channel = await self._connection.channel(publisher_confirms=False)
        channel.close_callbacks.add(self._closed)
        await channel.set_qos(prefetch_count=prefetch)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._consumer_cancelled)
        return channel

    async def _job_arrived(self, message: AbstractIncomingMessage) -> None:
        await self._jobs.put(AmqpDelivery(message))

    async def _control_arrived(self, message: AbstractIncomingMessage) -> None:
        await self._control.put(AmqpDelivery(message))

    def _closed(self, _sender: Any, error: BaseException | None) -> None:
        self._fail(f"the connection to the broker was closed: {error}")

    def _consumer_cancelled(self, *_about: Any) -> None:
        self._fail("the broker cancelled a consumer; its queue is gone or moved")

    def _fail(self, why: str) -> None:
        if not self._gone.done():
            self._gone.set_exception(LinkDown(why))
            self._gone.exception()  # read once here, so that an unwatched link does not warn


@asynccontextmanager
async def connect(url: str, worker: WorkerName) -> AsyncIterator[AmqpLink]:
    """A link for as long as the block lasts. Raises `LinkDown`."""
    with link_errors():
        async with asyncio.timeout(CONNECT_S):
            connection = await aio_pika.connect(
                url,
                heartbeat=HEARTBEAT_S,
                timeout=CONNECT_S,
                client_properties={"connection_name": worker},
            )
    link = AmqpLink(worker, connection)
    try:
        with link_errors():
            async with asyncio.timeout(CONNECT_S):
                await link._begin()  # noqa: SLF001 the second half of making one
        yield link
    finally:
        try:
            async with asyncio.timeout(CLOSE_S):
                await connection.close()
        except (AMQPError, OSError, RuntimeError):
            pass  # it is gone already, which is what was wanted
