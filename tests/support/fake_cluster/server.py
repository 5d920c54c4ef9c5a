"""The fake cluster on a socket: speaks HTTP/1.1, records each request, and misbehaves on order."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import h11

from tests.support.fake_cluster.agent_api import AgentApi, Reply, Request

READ_BYTES: Final = 64 * 1024
DRIP_S: Final = 0.02  # between the bytes of a slow body
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Trouble(Enum):
    """What happens to one request instead of its answer. The first two are of requests that are not taken."""

    REFUSED = "answered with a status of the test's choice"
    RESET_BEFORE = "the connection is reset, and nothing was done"
    RESET_AFTER = "done, and then the connection is reset"
    LOST = "done, and the answer never comes; the connection stays open"
    TRUNCATED = "done, and the connection ends in the middle of the answer"
    REPEATED = "done, and the answer comes twice on one connection"
    LATE = "done, and the answer comes once the test lets it"
    SLOW = "done, and the answer comes byte by byte"
    DROPPED_AT_THE_GATE = "done, and a gateway answers 502"
    PORTAL = "done, and somebody else answers 200 with a page"


NOT_TAKEN: Final = (Trouble.REFUSED, Trouble.RESET_BEFORE)


@dataclass(slots=True)
class Order:
    on: str  # in the path
    trouble: Trouble
    times: float
    reply: Reply


@dataclass
class FakeCluster:
    """The API with its jobs, what it was asked in order, and what it shall do wrong next."""

    url: str
    api: AgentApi = field(default_factory=AgentApi)
    requests: list[Request] = field(default_factory=list)
    refused: list[tuple[Request, Reply]] = field(default_factory=list)  # by the API itself, on no order
    let_go: asyncio.Event = field(default_factory=asyncio.Event)  # set it: what is late goes out
    _orders: list[Order] = field(default_factory=list)

    def misbehave(self, on: str, trouble: Trouble, times: float = 1) -> None:
        """The next `times` requests whose path has `on` in it meet with this."""
        reply = Reply(502, b"<html>bad gateway</html>", "text/html")
        self._orders.append(Order(on, trouble, times, reply))

    def refuse(self, on: str, status: int, times: float = 1, **headers: str) -> None:
        """The next `times` requests whose path has `on` in it are answered with this status, and not done."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        self._orders.append(Order(on, Trouble.REFUSED, times, Reply(status, b"no", "text/plain", named)))

    def behave(self) -> None:
        """From now on nothing goes wrong."""
        self._orders.clear()

    def say(self, on: str, body: bytes) -> None:
        """The next request whose path has `on` in it is answered 200 with this, and not done."""
        self._orders.append(Order(on, Trouble.REFUSED, 1, Reply(200, body)))

    def answer(self, request: Request) -> Reply:
        reply = self.api.answer(request)
        if reply.status >= 400:
            self.refused.append((request, reply))
        return reply

    def asked(self, on: str) -> list[Request]:
        return [request for request in self.requests if on in request.path]

    def ordered(self, path: str) -> Order | None:
        """What is to happen to this request; an order that was met often enough is over."""
        for order in self._orders:
            if order.on in path:
                order.times -= 1
                if order.times < 1:
                    self._orders.remove(order)
                return order
        return None


@asynccontextmanager
async def fake_cluster() -> AsyncIterator[FakeCluster]:
    """One on a free port of loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        cluster = FakeCluster(f"http://127.0.0.1:{listener.getsockname()[1]}")
        open_now: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            open_now[task] = writer
            try:
                with suppress(ConnectionError, h11.RemoteProtocolError):
                    await Conversation(cluster, reader, writer).run()
            finally:
                del open_now[task]
                writer.close()

        server = await asyncio.start_server(connected, sock=listener)
        try:
            yield cluster
        finally:
            server.close()
            cluster.let_go.set()
            for writer in open_now.values():
                writer.transport.abort()
            while open_now:
                await asyncio.wait(open_now)


class Conversation:
    """One connection."""

    def __init__(
        self, cluster: FakeCluster, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._cluster = cluster
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        while (request := await self._request()) is not None:
            self._cluster.requests.append(request)
            order = self._cluster.ordered(request.path)
            if order is None:
                await self._send(self._bytes_of(self._cluster.answer(request)))
            elif not await self._misbehave(request, order):
                return
            if self._http.our_state is h11.MUST_CLOSE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> Request | None:
        """The next one, whole; None when the client has left."""
        head: h11.Request | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_BYTES))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                path, _, query = head.target.decode().partition("?")
                headers = {name.decode().lower(): value.decode() for name, value in head.headers}
                return Request(head.method.decode(), path, query, headers, body)
            else:
                return None

    async def _misbehave(self, request: Request, order: Order) -> bool:
        """Whether the connection can be used on."""
        answer = b""
        if order.trouble not in NOT_TAKEN:
            answer = self._bytes_of(self._cluster.answer(request), order)
        match order.trouble:
            case Trouble.REFUSED:
                await self._send(self._bytes_of(order.reply))
            case Trouble.RESET_BEFORE | Trouble.RESET_AFTER:
                self._reset()
                return False
            case Trouble.LOST:
                await self._reader.read()  # until the client gives up
                return False
            case Trouble.TRUNCATED:
                await self._send(answer[:-2])
                return False
            case Trouble.REPEATED:
                await self._send(answer + answer)
            case Trouble.LATE:
                await self._cluster.let_go.wait()
                await self._send(answer)
            case Trouble.SLOW:
                await self._drip(answer)
            case Trouble.DROPPED_AT_THE_GATE | Trouble.PORTAL:
                await self._send(answer)
        return True

    def _bytes_of(self, reply: Reply, order: Order | None = None) -> bytes:
        if order is not None and order.trouble is Trouble.DROPPED_AT_THE_GATE:
            reply = order.reply
        elif order is not None and order.trouble is Trouble.PORTAL:
            reply = Reply(200, b"<html>please log in</html>", "text/html")
        headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body)))]
        head = h11.Response(status_code=reply.status, headers=[*headers, *reply.headers])
        pieces = (head, h11.Data(data=reply.body), h11.EndOfMessage())
        return b"".join(self._http.send(piece) or b"" for piece in pieces)

    async def _send(self, text: bytes) -> None:
        self._writer.write(text)
        await self._writer.drain()

    async def _drip(self, text: bytes) -> None:
        for place in range(len(text)):
            await self._send(text[place : place + 1])
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), DRIP_S)

    def _reset(self) -> None:
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._writer.transport.abort()
