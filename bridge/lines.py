"""Kept connections to one cluster, for httpx: parsed in C, and found in no time.

httpx's own pool looks at every connection for every request and its parser is Python: 2 ms of processor time
a call. A relay that pings for 5,000 jobs must ask 250 times a second, on any machine.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, cast

import httptools
import httpx

HTTPS: Final = "https"
PORTS: Final = {"http": 80, HTTPS: 443}


class Lines(httpx.AsyncBaseTransport):
    """At most `most` connections; one that was idle for `idle_s` is not used again."""

    def __init__(self, trust: ssl.SSLContext, most: int, idle_s: float) -> None:
        self._trust = trust
        self._idle_s = idle_s
        self._room = asyncio.Semaphore(most)
        self._idle: deque[_Line] = deque()  # who became idle last is used first

    async def answered(self, request: httpx.Request) -> httpx.Response:
        """Raises what httpx's own transport raises."""
        body = await request.aread()
        limits = request.extensions["timeout"]
        with _named(httpx.PoolTimeout, request):
            async with asyncio.timeout(limits["pool"]):
                await self._room.acquire()
        try:
            line = self._idle_line() or await self._opened(request, limits["connect"])
            try:
                with _named(httpx.ReadTimeout, request):
                    async with asyncio.timeout(limits["read"]):
                        answer = await line.ask(_head_of(request) + body)
            except BaseException:
                line.close()
                raise
            if answer.keeps_alive:
                line.idle_since_s = monotonic()
                self._idle.append(line)
            else:
                line.close()
        finally:
            self._room.release()
        return httpx.Response(
            answer.status, headers=answer.headers, content=bytes(answer.body), request=request
        )

    handle_async_request = answered  # httpx's name for it

    async def aclose(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _idle_line(self) -> "_Line | None":
        while self._idle:
            line = self._idle.pop()
            if line.is_open and monotonic() - line.idle_since_s < self._idle_s:
                return line
            line.close()
        return None

    async def _opened(self, request: httpx.Request, within_s: float | None) -> "_Line":
        url = request.url
        is_tls = url.scheme == HTTPS
        with _named(httpx.ConnectTimeout, request):
            try:
                async with asyncio.timeout(within_s):
                    _, line = await asyncio.get_running_loop().create_connection(
                        _Line, url.host, url.port or PORTS[url.scheme], ssl=self._trust if is_tls else None
                    )
            except (OSError, ssl.SSLError) as error:
                if isinstance(error, TimeoutError):
                    raise
                raise httpx.ConnectError(str(error), request=request) from error
        return line


class _Answer:
    """What the parser has read so far."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.keeps_alive = False


class _Line(asyncio.Protocol):
    """One connection, one call at a time."""

    idle_since_s = 0.0

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._answer = _Answer()
        self._waiting: asyncio.Future[_Answer] | None = None

    async def ask(self, call: bytes) -> _Answer:
        """Raises `httpx.RemoteProtocolError` and `httpx.ReadError`."""
        self._parser, self._answer = httptools.HttpResponseParser(self), _Answer()
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(call)
        return await self._waiting

    def close(self) -> None:
        self.is_open = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.close()  # nobody asked for this
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer without a length ends with its connection."""
        self.is_open = False
        if exc is None and self._answer.status and not self._has_length():
            self.on_message_complete()
        self._fail(
            httpx.ReadError(str(exc))
            if exc
            else httpx.RemoteProtocolError("the server left without an answer")
        )

    def on_message_begin(self) -> None:
        if self._waiting is None or self._waiting.done():  # a second answer: nobody asked for it
            self._answer.keeps_alive = False
            self._answer = _Answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._answer.body += body

    def on_message_complete(self) -> None:
        if httpx.codes.is_informational(self._answer.status):  # the real one follows
            self._answer = _Answer()
            return
        self._answer.keeps_alive = self.is_open and self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)

    def _has_length(self) -> bool:
        names = {name.lower() for name, _ in self._answer.headers}
        return b"content-length" in names or b"transfer-encoding" in names

    def _fail(self, error: httpx.TransportError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def _head_of(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % (name, value) for name, value in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@contextmanager
def _named(kind: type[httpx.TimeoutException], request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise kind("", request=request) from error
