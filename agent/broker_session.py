"""One session with RabbitMQ, as both sides live it: a connection that consumes, one that publishes, one fate.

Two connections, because a broker that is low on memory or disk stops reading from whoever publishes: an
acknowledgement or a declaration on the same connection would wait as long as the alarm lasts. Plain ones,
because the client's robust connection is known to come back with no consumer (aio-pika 231, 334) and to hang
publishes (636): here any trouble ends the session whole, and its owner builds a new one.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, PublishError
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ConnectionClosed,
    ProbableAuthenticationError,
)

from agent.changes import Changes
from agent.tls.dial import Place, Stream, dial
from agent.tls.outbound import SYSTEM, Outbound
from agent.tls.reasons import why
from agent.wire.envelope import CONTENT_TYPE, Envelope

CONNECT_S: Final = 15.0
CONFIRM_S: Final = 30.0  # not counted while the broker takes nothing
CLOSE_S: Final = 3.0
SAID_NO: Final = (AuthenticationError, ProbableAuthenticationError, ConnectionClosed)  # in words of AMQP

Down = Callable[[str], Exception]  # makes the owner's own error for a session that is gone
Arrived = Callable[[AbstractIncomingMessage], Awaitable[None]]


class Unroutable(Exception):
    """No queue takes the message: what it needs is not declared or not bound."""


def message_of(
    envelope: Envelope, *, kind: str | None = None, user_id: str | None = None
) -> aio_pika.Message:
    """What a confirm of the broker makes durable."""
    return aio_pika.Message(
        envelope.body,
        headers=dict(envelope.headers),
        content_type=CONTENT_TYPE,
        content_encoding=envelope.content_encoding,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        type=kind,
        user_id=user_id,
    )


@contextmanager
def session_errors(down: Down) -> Iterator[None]:
    """The one place where the client's errors become the owner's."""
    try:
        yield
    except (
        AMQPError,
        ChannelInvalidStateError,
        OSError,
        RuntimeError,
    ) as error:  # TimeoutError is an OSError
        raise down(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        raise down(
            "the connection was closed"
        ) from error  # the client ends a waiter so when it has no reason
    except asyncio.CancelledError:
        # The client cancels its own waiters when a connection dies; only a real cancellation may pass as one.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise down("the connection was closed") from None


class Session:
    """Made by `open_session`. `blocked`: why the broker takes nothing now, or empty; `changes` tell of it."""

    def __init__(self, down: Down, dialled: "_Dialled") -> None:
        self._down = down
        self._dialled = dialled
        self._consuming: AbstractConnection
        self._publisher: AbstractChannel
        self._exchanges: dict[str, aio_pika.abc.AbstractExchange] = {}
        self._unblocked = asyncio.Event()
        self._unblocked.set()
        self._limits: set[asyncio.Timeout] = set()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.blocked = ""
        self.changes = Changes()

    @property
    def came_bytes(self) -> int:
        """Bytes that have come down on the consuming connection: a slow link grows, a dead one does not."""
        return self._dialled.came_bytes

    async def publish(self, exchange: str, message: aio_pika.Message, key: str) -> None:
        """Returns with the broker's confirm; waits while the broker takes nothing. Raises `Unroutable`."""
        with session_errors(self._down):
            await self._unblocked.wait()
            limit = asyncio.timeout(CONFIRM_S)
            try:
                async with limit:
                    self._limits.add(limit)
                    if exchange not in self._exchanges:
                        self._exchanges[exchange] = await self._publisher.get_exchange(exchange, ensure=False)
                    await self._exchanges[exchange].publish(message, key, mandatory=True)
            except PublishError as error:
                raise Unroutable(f"no queue takes {key} of {exchange}") from error
            except TimeoutError:
                raise self._down(f"no confirm came within {CONFIRM_S:.0f} s") from None
            finally:
                self._limits.discard(limit)

    async def channel(self) -> AbstractChannel:
        """One on the consuming connection, for consuming or declaring. When it closes, the session ends."""
        channel = await self._consuming.channel(publisher_confirms=False)
        channel.close_callbacks.add(self._closed)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._consumer_cancelled)
        return channel

    async def consume(self, channel: AbstractChannel, queue: str, prefetch: int, arrived: Arrived) -> str:
        """The consumer's name. The prefetch counts for this consumer alone: set just before, not global."""
        with session_errors(self._down):
            async with asyncio.timeout(CONNECT_S):
                await channel.set_qos(prefetch_count=prefetch)
                return await (await channel.get_queue(queue, ensure=False)).consume(arrived)

    async def cancel(self, channel: AbstractChannel, queue: str, consumer: str) -> None:
        with session_errors(self._down):
            async with asyncio.timeout(CONNECT_S):
                await (await channel.get_queue(queue, ensure=False)).cancel(consumer)

    async def consumers(self, queue: str) -> int | None:
        """How many the broker counts on this queue. None: it does not tell us.

        RabbitMQ asks for no right to it before 4.2.6, for `configure` in 4.2.6 and 4.3.0, for any after.
        """
        with session_errors(self._down):
            try:
                return (await self._look_at(queue)).declaration_result.consumer_count
            except ChannelAccessRefused:
                return None

    async def has_queue(self, queue: str) -> bool:
        """For whoever may configure it."""
        return await self.waiting(queue) is not None

    async def waiting(self, queue: str) -> int | None:
        """Messages in it that nobody has been handed; None: it is gone. For whoever may configure it."""
        with session_errors(self._down):
            try:
                return (await self._look_at(queue)).declaration_result.message_count or 0
            except ChannelNotFoundEntity:
                return None

    async def _look_at(self, queue: str) -> AbstractQueue:
        """On a channel of its own, because a refusal ends it."""
        async with asyncio.timeout(CONNECT_S):
            channel = await self._consuming.channel(publisher_confirms=False)
            declared = await channel.declare_queue(queue, passive=True)
            await channel.close()
            return declared

    async def lost(self) -> None:
        """Return never; raise the owner's error when the session is gone."""
        await asyncio.shield(self._gone)

    async def _begin(self, consuming: AbstractConnection, publishing: AbstractConnection) -> None:
        # A close during the handshake below is noticed too, so this comes first.
        self._consuming = consuming
        for connection in (consuming, publishing):
            connection.close_callbacks.add(self._closed)
        _hear_blocked(publishing, self._block, self._unblock)
        self._publisher = await publishing.channel(publisher_confirms=True, on_return_raises=True)
        self._publisher.close_callbacks.add(self._closed)

    def _block(self, reason: str) -> None:
        """What was sent already is not lost: it waits in the connection, and its time stands still."""
        self.blocked = reason
        self._unblocked.clear()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(None)
        self.changes.note()

    def _unblock(self) -> None:
        self.blocked = ""
        until = asyncio.get_running_loop().time() + CONFIRM_S
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(until)
        self._unblocked.set()
        self.changes.note()

    def _closed(self, _sender: Any, error: BaseException | None) -> None:
        self._fail(f"the connection was closed: {error}")

    def _consumer_cancelled(self, *_about: Any) -> None:
        self._fail("the broker cancelled a consumer; its queue is gone or moved")

    def _fail(self, why: str) -> None:
        if not self._gone.done():
            self._gone.set_exception(self._down(why))
            self._gone.exception()  # read once here, so that an unwatched session does not warn
        self._unblocked.set()  # who waits to publish learns of the end by trying


@asynccontextmanager
async def open_session(
    url: str, name: str, heartbeat_s: int, down: Down, outbound: Outbound = SYSTEM
) -> AsyncIterator[Session]:
    """A session for as long as the block lasts. Raises the owner's error."""
    with session_errors(down):
        context = outbound.context() if url.startswith("amqps:") else None
    dialled = _Dialled(context, outbound)  # its bytes are those of the consuming connection
    session = Session(down, dialled)
    connections: list[AbstractConnection] = []
    try:
        with session_errors(down):
            try:
                connections.append(await _connect(url, name, heartbeat_s, dialled))
                connections.append(await _connect(url, name, heartbeat_s, _Dialled(context, outbound)))
                async with asyncio.timeout(CONNECT_S):
                    await session._begin(*connections)  # noqa: SLF001 the second half of making one
            except (AMQPError, OSError) as error:
                if not isinstance(error, SAID_NO) and (reason := await why(error, url, outbound)):
                    raise down(reason) from error
                raise
        yield session
    finally:
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(_close(connection), name="closing")


async def _connect(url: str, name: str, heartbeat_s: int, dialled: "_Dialled") -> AbstractConnection:
    connection = aio_pika.Connection(
        aio_pika.connection.make_url(url, heartbeat=heartbeat_s), client_properties={"connection_name": name}
    )
    connection.kwargs["transport_factory"] = dialled
    await connection.connect(timeout=CONNECT_S)
    return connection


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.close()
    except (AMQPError, OSError, RuntimeError):
        pass  # it is gone already, which is what was wanted


class _Dialled(TransportFactory):
    """Our own way to the broker, so that no address turns the checks off; it counts what comes."""

    def __init__(self, context: ssl.SSLContext | None, outbound: Outbound) -> None:
        self._context = context
        self._outbound = outbound
        self.came_bytes = 0

    async def create(self, url: Any, **options: Any) -> Stream:
        options.pop("ssl_context_provider")  # the client's own, which would obey the address
        reader, writer = await dial(Place.of(str(url)), self._context, self._outbound, **options)
        feed = reader.feed_data

        def counted(chunk: bytes) -> None:
            self.came_bytes += len(chunk)
            feed(chunk)

        reader.feed_data = counted  # type: ignore[assignment,method-assign] # the stream protocol hands every chunk to it
        return reader, writer


def _hear_blocked(
    connection: AbstractConnection, blocked: Callable[[str], None], unblocked: Callable[[], None]
) -> None:
    """The client only logs Connection.Blocked (aio-pika 506): its two private handlers are wrapped.

    A release without them raises AttributeError here, at the first connection of the first test.
    """
    raw: Any = connection.transport.connection if connection.transport else None
    when_blocked, when_unblocked = (
        getattr(raw, f"_Connection__handle_connection_{what}") for what in ("blocked", "unblocked")
    )

    async def on_blocked(frame: Any) -> None:
        await when_blocked(frame)
        blocked(str(frame.reason))

    async def on_unblocked(frame: Any) -> None:
        await when_unblocked(frame)
        unblocked()

    raw._Connection__handle_connection_blocked = on_blocked  # noqa: SLF001 see above
    raw._Connection__handle_connection_unblocked = on_unblocked  # noqa: SLF001 see above
