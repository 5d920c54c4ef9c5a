"""A link that can go bad in every way: a TCP proxy, worked from outside by plain calls."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from typing import Any, Final, Self, TypeVar

from dev_tools.ports import free_ports

CONNECT_S: Final = 5.0
CALL_S: Final = 10.0
CHUNK_BYTES: Final = 64 * 1024
THROTTLE_STEP_S: Final = 0.1  # a slow link passes a piece of this length at a time
RESET_ON_CLOSE: Final = struct.pack(
    "ii", 1, 0
)  # SO_LINGER of zero: the peer sees a reset, as when a cable goes

T = TypeVar("T")


class Cut(Enum):
    REFUSE = "refuse"  # connections are reset and new ones refused: the peer knows at once
    STALL = "stall"  # bytes stand still, sockets stay open: the peer has to find out (a half-open link)
    UP = "up"  # as STALL, but only from the client to the server: answers still come
    DOWN = "down"  # only from the server to the client
    FORGET = "forget"  # what is open now swallows its bytes for ever, as behind a router that was restarted


class LinkProxy:
    """Forwards a loopback port to a server. Its methods may be called from any thread, asyncio's included."""

    def __init__(
        self, target_host: str, target_port: int, port: int | None = None, host: str = "127.0.0.1"
    ) -> None:
        """Listens at `host` when the constructor returns; on `port`, or on a free one that it keeps."""
        self.port: Final = port or free_ports(1)[0]
        self._host: Final = host
        self.up_bytes = 0  # from the client to the server
        self.down_bytes = 0
        self._target: Final = (target_host, target_port)
        self._links: Final[set[asyncio.StreamWriter]] = set()
        self._serving: Final[set[asyncio.Task[None]]] = set()
        self._server: asyncio.Server | None = None
        self._loop: Final = asyncio.new_event_loop()
        self._flows: Final = {Cut.UP: asyncio.Event(), Cut.DOWN: asyncio.Event()}
        self._swallowing: Final[set[asyncio.StreamWriter]] = set()
        self._bytes_per_s: int | None = None  # None: as fast as it goes
        self._delay_s = 0.0
        self._thread: Final = threading.Thread(target=self._loop.run_forever, name="link-proxy", daemon=True)
        self._thread.start()
        self.restore()

    def cut(self, mode: Cut = Cut.REFUSE) -> None:
        """From the return on no byte passes."""
        self._call(self._cut(mode))

    def slow_down(self, *, bytes_per_s: int | None = None, delay_s: float = 0.0) -> None:
        """A thin or a long link: so many bytes a second in each direction, each piece so much later.

        What is on its way is not overtaken, so a delay bounds the rate too: 64 KiB in each `delay_s`.
        """
        self._bytes_per_s, self._delay_s = bytes_per_s, delay_s

    def restore(self) -> None:
        """Undoes everything; bytes that stood still go on. What was forgotten stays forgotten."""
        self._bytes_per_s, self._delay_s = None, 0.0
        self._call(self._restore())

    @property
    def is_cut(self) -> bool:
        return self._server is None or not all(flow.is_set() for flow in self._flows.values())

    @property
    def connections(self) -> int:
        return len(self._links) // 2

    def close(self) -> None:
        """Ends all connections. May be called again."""
        if not self._loop.is_closed():
            self._call(self._cut(Cut.REFUSE))
            self._call(self._end_tasks())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_S)
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(CALL_S)

    async def _cut(self, mode: Cut) -> None:
        for direction, flow in self._flows.items():
            if mode not in (Cut.UP, Cut.DOWN) or mode is direction:
                flow.clear()
        if mode is Cut.FORGET:
            self._swallowing.update(self._links)
        if mode is Cut.REFUSE:
            if self._server:
                self._server.close()
                self._server = None
            for writer in list(self._links):
                _reset(writer)

    async def _restore(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._arrived, self._host, self.port)
        for flow in self._flows.values():
            flow.set()

    async def _end_tasks(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task of our own: asyncio's, when it is cancelled, fails loudly in Python 3.11."""
        task = self._loop.create_task(self._serve(reader, writer), name="link")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.add(writer)
        try:
            for flow in self._flows.values():
                await flow.wait()
            async with asyncio.timeout(CONNECT_S):
                far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:  # TimeoutError is one
            self._links.discard(writer)
            _reset(writer)
            return
        self._links.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, is_up=True), name="up")
                both.create_task(self._pump(far_reader, writer, is_up=False), name="down")
        finally:
            for one in (writer, far_writer):
                one.transport.abort()  # does nothing to one that was closed in order
                self._links.discard(one)
                self._swallowing.discard(one)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        """One direction. At its end the other side is closed, which ends the other direction too."""
        flow = self._flows[Cut.UP if is_up else Cut.DOWN]
        with suppress(ConnectionError):
            while chunk := await reader.read(self._piece_bytes()):
                await self._travel(len(chunk))
                await flow.wait()
                if writer in self._swallowing:
                    continue
                writer.write(chunk)
                await writer.drain()
                if is_up:
                    self.up_bytes += len(chunk)
                else:
                    self.down_bytes += len(chunk)
        if (
            writer not in self._swallowing
        ):  # a router that has forgotten a connection passes its end on neither
            writer.close()

    def _piece_bytes(self) -> int:
        if self._bytes_per_s is None:
            return CHUNK_BYTES
        return max(1, min(CHUNK_BYTES, round(self._bytes_per_s * THROTTLE_STEP_S)))

    async def _travel(self, size: int) -> None:
        takes_s = self._delay_s + (size / self._bytes_per_s if self._bytes_per_s else 0.0)
        if takes_s:
            await asyncio.sleep(takes_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):  # closed in this very moment
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
