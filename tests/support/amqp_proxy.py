"""A link that can be broken as only a middlebox breaks it: it knows AMQP's frames, and swallows some."""

import asyncio
import struct
from contextlib import suppress
from enum import Enum
from typing import Final

from dev_tools.proxy import Cut, LinkProxy

HEADER_BYTES: Final = 8
FRAME_HEAD: Final = struct.Struct(">BHI")  # type, channel, size; the payload and an end octet follow
METHOD, HEARTBEAT = 1, 8
CONSUME, CANCEL, DELIVER, ACK, NACK = (60, 20), (60, 30), (60, 60), (60, 80), (60, 120)
NO_WAIT: Final = b"\x01"


class Swallowed(Enum):
    DELIVERIES = "what the broker delivers"
    CONFIRMS = "the broker's confirms"
    HEARTBEATS = "heartbeats, both ways"


class _Flow:
    """One direction of one connection."""

    def __init__(self, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        self.writer = writer
        self.is_up = is_up
        self.swallowed: Swallowed | None = None
        self._dropping: set[int] = set()  # channels whose delivery's content is still to come
        self.consumers: dict[str, tuple[int, bytes]] = {}  # by queue: the channel, the consumer's name

    def note(self, kind: int, channel: int, payload: bytes) -> None:
        """What passes up tells who consumes what."""
        if self.is_up and kind == METHOD and struct.unpack_from(">HH", payload) == CONSUME:
            queue, rest = _short(payload[6:])
            self.consumers[queue.decode()] = channel, _short(rest)[0]

    def drops(self, kind: int, channel: int, payload: bytes) -> bool:
        if self.swallowed is Swallowed.HEARTBEATS:
            return kind == HEARTBEAT
        if kind != METHOD:
            return channel in self._dropping
        self._dropping.discard(channel)
        method = struct.unpack_from(">HH", payload)
        if self.swallowed is Swallowed.DELIVERIES and method == DELIVER and not self.is_up:
            self._dropping.add(channel)
            return True
        return self.swallowed is Swallowed.CONFIRMS and method in (ACK, NACK) and not self.is_up


class AmqpProxy(LinkProxy):
    """A `LinkProxy` for AMQP without TLS."""

    def __init__(self, target_host: str, target_port: int, port: int, host: str) -> None:
        self._running: set[_Flow] = set()
        super().__init__(target_host, target_port, port, host)

    def swallow(self, what: Swallowed) -> None:
        """From the return on, on the connections of this moment; later ones are whole."""
        self._call(self._swallow(what))

    def acknowledge_nonsense(self) -> None:
        """In the client's name, on every channel 1: the broker answers a channel error, 406."""
        self._call(self._inject(_method(1, ACK, struct.pack(">QB", 999_999, 0))))

    def cancel_consumer(self, queue: str) -> None:
        """In the client's name, and without a word to it: it is connected, and consumes no more."""
        self._call(self._cancel(queue))

    async def _swallow(self, what: Swallowed) -> None:
        for flow in self._running:
            flow.swallowed = what

    async def _inject(self, frame: bytes) -> None:
        for flow in self._running:
            if flow.is_up:
                flow.writer.write(frame)

    async def _cancel(self, queue: str) -> None:
        (flow,) = (flow for flow in self._running if queue in flow.consumers)
        channel, consumer = flow.consumers[queue]
        flow.writer.write(_method(channel, CANCEL, bytes([len(consumer)]) + consumer + NO_WAIT))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        flow = _Flow(writer, is_up=is_up)
        self._running.add(flow)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                if is_up:
                    writer.write(await reader.readexactly(HEADER_BYTES))
                while True:
                    head = await reader.readexactly(FRAME_HEAD.size)
                    kind, channel, size = FRAME_HEAD.unpack(head)
                    rest = await reader.readexactly(size + 1)
                    await self._flows[Cut.UP if is_up else Cut.DOWN].wait()
                    flow.note(kind, channel, rest)
                    if not flow.drops(kind, channel, rest):
                        writer.write(head + rest)
                        await writer.drain()
        finally:
            self._running.discard(flow)
        writer.close()


def _method(channel: int, method: tuple[int, int], arguments: bytes) -> bytes:
    body = struct.pack(">HH", *method) + arguments
    return FRAME_HEAD.pack(METHOD, channel, len(body)) + body + b"\xce"


def _short(text: bytes) -> tuple[bytes, bytes]:
    """AMQP's short string, and what follows it."""
    end = 1 + text[0]
    return text[1:end], text[end:]
