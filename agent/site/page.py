"""The status as one page on this machine, served by the agent itself (`--status-port`). It only reads.

A tiny part of HTTP: GET of a few paths, one answer a connection, to whoever names this machine by a name that
no stranger's name server can give it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import structlog

from agent import status
from agent.errors import AgentError
from agent.figures import FIGURES
from agent.logs import without_secrets
from agent.site import metrics, page_html

log = structlog.get_logger()

HERE: Final = "127.0.0.1"
NAMES: Final = ("localhost", HERE)  # a page elsewhere whose name leads here shows its own in Host
ASK_S: Final = 5.0
HEAD_BYTES: Final = 8192
AT_ONCE: Final = 8
FRESH_S: Final = 0.5  # however many look, the spool is read twice a second at most
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": page_html.POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: str
    kind: str = "text/plain"


@asynccontextmanager
async def served(spool: Path, port: int) -> AsyncIterator[int | None]:
    """For as long as the block lasts. Yields the port; None when it is taken: the agent works on without."""
    page = Page(spool)
    try:
        server = await asyncio.start_server(page.answer, HERE, port, limit=HEAD_BYTES)
    except OSError as error:
        mend = "choose another --status-port, and start the agent again"
        log.warning("status.not_served", port=port, error=error.strerror or str(error), mend=mend)
        yield None
        return
    bound = server.sockets[0].getsockname()[1]
    log.info("status.served", address=f"http://{HERE}:{bound}/")
    try:
        yield bound
    finally:
        server.close()


class Page:
    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._looking = asyncio.Lock()
        self._seen: dict[str, Any] = {}
        self._seen_s = float("-inf")
        self._open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request. Whatever comes, the agent goes on."""
        self._open += 1
        try:
            async with asyncio.timeout(ASK_S):
                head = await reader.readuntil(b"\r\n\r\n")
                answer = BUSY if self._open > AT_ONCE else await self._answer(head.decode("latin-1"))
                writer.write(_bytes_of(answer))
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
            pass
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, head: str) -> Answer:
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        fields = {
            name.strip().lower(): text.strip() for name, _, text in (one.partition(":") for one in lines)
        }
        if _name_of(fields.get("host", "")) not in NAMES:
            return Answer(HTTPStatus.MISDIRECTED_REQUEST, f"This is http://{HERE}/ of this machine.\n")
        if method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, "This page only shows.\n")
        answer = await self._page(path)
        return answer if method == "GET" else Answer(answer.status, "", answer.kind)

    async def _page(self, path: str) -> Answer:
        match path:
            case "/":
                return Answer(HTTPStatus.OK, page_html.whole(await self._look()), "text/html")
            case "/part":
                return Answer(HTTPStatus.OK, page_html.part(await self._look()), "text/html")
            case "/metrics":
                return Answer(HTTPStatus.OK, metrics.text_of(await self._look(), FIGURES), metrics.KIND)
            case "/status.json":
                return Answer(HTTPStatus.OK, json.dumps(await self._look()), "application/json")
        return Answer(HTTPStatus.NOT_FOUND, "There are /, /status.json and /metrics.\n")

    async def _look(self) -> dict[str, Any]:
        async with self._looking:
            if time.monotonic() - self._seen_s > FRESH_S:
                self._seen = await asyncio.to_thread(_read, self._spool)
                self._seen_s = time.monotonic()
            return self._seen


BUSY: Final = Answer(HTTPStatus.SERVICE_UNAVAILABLE, "Too many look at once.\n")


def _read(spool: Path) -> dict[str, Any]:
    try:
        seen: dict[str, Any] = json.loads(without_secrets(json.dumps(status.read(spool))))
    except (AgentError, OSError) as error:
        return {"error": str(error)}
    return seen


def _name_of(host: str) -> str:
    """Without the port."""
    name, _, port = host.rpartition(":")
    return name.lower() if name and port.isdecimal() else host.lower()


def _bytes_of(answer: Answer) -> bytes:
    body = answer.body.encode()
    about = HEADERS | {"Content-Type": f"{answer.kind}; charset=utf-8", "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {text}\r\n" for name, text in about.items())
    return f"HTTP/1.1 {answer.status} {answer.status.phrase}\r\n{lines}\r\n".encode() + body
