"""A small HTTP/1.1 server on this machine, for the jobs that run here. h11 reads and writes the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import h11
import structlog

log = structlog.get_logger()

HERE: Final = "127.0.0.1"
READ_BYTES: Final = 64 * 1024
BODY_MAX_BYTES: Final = 32 * 1024 * 1024
IDLE_S: Final = 120.0  # a job's client keeps its connection for its next call
AT_ONCE: Final = 64  # connections; more wait in the kernel (I6)
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    target: str  # as it came: path and query
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def path(self) -> str:
        """Without the query, and decoded."""
        return unquote(urlsplit(self.target).path)

    @property
    def bearer(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes | AsyncIterator[bytes] = b""
    kind: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Request], Awaitable[Reply]]


def json_reply(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), JSON)


def raw_json(text: str) -> Reply:
    return Reply(200, text.encode(), JSON)


def text_reply(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode())


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[str]:
    """For as long as the block lasts. Yields the address. Raises OSError when no port is to be had."""
    bound = asyncio.Semaphore(AT_ONCE)
    open_now: set[asyncio.Task[Any]] = set()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 the server runs each connection as a task
        open_now.add(task)
        try:
            async with bound:
                await _Connection(reader, writer, answer).speak()
        finally:
            open_now.discard(task)
            writer.close()

    server = await asyncio.start_server(speak, HERE, 0)
    try:
        yield f"http://{HERE}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tuple(open_now):
            task.cancel()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._protocol = h11.Connection(h11.SERVER)

    async def speak(self) -> None:
        """One request after the other. Whatever comes, the agent goes on."""
        with suppress(OSError, TimeoutError, EOFError):
            while True:
                try:
                    request = await self._request()
                    if request is None:
                        return
                    await self._send(await self._answer(request))
                except h11.RemoteProtocolError as error:
                    if self._protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                        await self._send(text_reply(str(error), error.error_status_hint or 400))
                    return
                if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
                    return
                self._protocol.start_next_cycle()

    async def _request(self) -> Request | None:
        """None: the client has gone. Raises `h11.RemoteProtocolError`, TimeoutError."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = await self._event()
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_MAX_BYTES:
                    raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Request(
                    method=head.method.decode(),
                    target=head.target.decode("latin-1"),
                    headers={name.decode(): text.decode("latin-1") for name, text in head.headers},
                    body=bytes(body),
                )
            else:  # closed, or a client that waits for something else
                return None

    async def _event(self) -> Any:
        while True:
            event = self._protocol.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._protocol.they_are_waiting_for_100_continue:
                self._write(h11.InformationalResponse(status_code=100, headers=[]))
            async with asyncio.timeout(IDLE_S):
                self._protocol.receive_data(await self._reader.read(READ_BYTES))

    async def _send(self, reply: Reply) -> None:
        headers = {"content-type": reply.kind, **reply.headers}
        if isinstance(reply.body, bytes):
            headers["content-length"] = str(len(reply.body))
        self._write(h11.Response(status_code=reply.status, headers=list(headers.items())))
        if isinstance(reply.body, bytes):
            self._write(h11.Data(reply.body))
        else:
            async for piece in reply.body:
                self._write(h11.Data(piece))
                await self._writer.drain()
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    def _write(self, event: Any) -> None:
        self._writer.write(self._protocol.send(event) or b"")
