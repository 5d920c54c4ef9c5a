"""The cheapest HTTP client there is: one kept connection, one request at a time, bodies with a length.

A crowd of thousands in one process cannot pay a millisecond of processor time for each request.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "
USER_AGENT: Final = "Windmill-Agent/1.0"


class ConnectionLost(ConnectionError):
    """The server has closed the connection; a request may have been taken or not."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Kept(asyncio.Protocol):
    """One agent's connection to the bridge, opened again when the server has closed it."""

    def __init__(self, host: str, port: int, bearer: str) -> None:
        self._address = (host, port)
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {bearer}\r\nUser-Agent: {USER_AGENT}\r\n"
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._waiting: asyncio.Future[Answer] | None = None

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises `ConnectionLost`, and `ConnectionError` when it is no 2xx."""
        text = json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"POST {path} HTTP/1.1\r\n{self._head}{more}Content-Length: {len(text)}\r\n\r\n"
        return await self._ask(path, head.encode() + text)

    async def get(self, path: str) -> Any:
        return await self._ask(path, f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, path: str, request: bytes) -> Any:
        if self._transport is None:
            await asyncio.get_running_loop().create_connection(lambda: self, *self._address)
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._waiting
        if not 200 <= answer.status < 300:
            raise ConnectionError(f"{path} was answered {answer.status}: {answer.body[:200]!r}")
        return json.loads(answer.body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._came.clear()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head_end = self._came.find(END)
        if head_end < 0:
            return
        head = self._came[:head_end].lower() + b"\r\n"
        at = head.index(LENGTH) + len(LENGTH)
        length = int(head[at : head.index(b"\r\n", at)])
        start = head_end + len(END)
        if len(self._came) < start + length:
            return
        answer = Answer(int(head[9:12]), bytes(self._came[start : start + length]))
        del self._came[: start + length]
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost(str(exc or "closed")))
