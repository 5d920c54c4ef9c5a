"""A link that can be cut: a TCP proxy between an agent and the broker, worked from outside by plain calls."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from dev_tools.ports import free_ports

CONNECT_S: Final = 5.0
CALL_S: Final = 10.0
CHUNK_BYTES: Final = 64 * 1024
SLOW_CHUNK_BYTES: Final = 4 * 1024  # of a throttled link
RESET_ON_CLOSE: Final = struct.pack(
    "ii", 1, 0
)  # SO_LINGER of zero: the peer sees a reset, as when a cable goes

T = TypeVar("T")


class Cut(Enum):
    REFUSE = "refuse"  # connections are reset and new ones refused: the peer knows at once
    STALL = "stall"  # bytes stand still, sockets stay open: the peer has to find out (a half-open link)


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
        self.up_bytes_per_s: int | None = None  # None: as fast as it comes; may be set at any time
        self._target: Final = (target_host, target_port)
        self._links: Final[set[asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self._loop: Final = asyncio.new_event_loop()
        self._flows: Final = asyncio.Event()
        self._thread: Final = threading.Thread(target=self._loop.run_forever, name="link-proxy", daemon=True)
        self._thread.start()
        self.restore()

    def cut(self, mode: Cut = Cut.REFUSE) -> None:
        """From the return on no byte passes."""
        self._call(self._cut(mode))

    def restore(self) -> None:
        """Undoes a cut of either mode; bytes that stood still go on."""
        self._call(self._restore())

    @property
    def is_cut(self) -> bool:
        return self._server is None or not self._flows.is_set()

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(CALL_S)

    async def _cut(self, mode: Cut) -> None:
        self._flows.clear()
        if mode is Cut.REFUSE:
            if self._server:
                self._server.close()
                self._server = None
            for writer in list(self._links):
                _reset(writer)

    async def _restore(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self._flows.set()

    async def _end_tasks(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.add(writer)
        try:
            await self._flows.wait()
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
            self._links.difference_update((writer, far_writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        """One direction. At its end the other side is closed, which ends the other direction too."""
        with suppress(ConnectionError):
            while chunk := await reader.read(
                CHUNK_BYTES if self.up_bytes_per_s is None else SLOW_CHUNK_BYTES
            ):
                if is_up and self.up_bytes_per_s:
                    await asyncio.sleep(len(chunk) / self.up_bytes_per_s)
                await self._flows.wait()
                writer.write(chunk)
                await writer.drain()
                if is_up:
                    self.up_bytes += len(chunk)
                else:
                    self.down_bytes += len(chunk)
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):  # closed in this very moment
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
