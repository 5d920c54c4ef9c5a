"""The web server, with what runs beside it, until a signal."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import uvicorn
from starlette.routing import BaseRoute

from agent import release
from agent.systemd import Systemd, loop_turns
from bridge.config import Settings
from bridge.store.leading import Part
from bridge.web.asgi import build

DRAIN_S: Final = 3


async def until_signal(
    settings: Settings,
    routes: Sequence[BaseRoute],
    beside: Mapping[str, Part],
    stopping: Callable[[], None],
) -> None:
    """Run the web server and what stands beside it; the server owns the signals and ends all with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the server raises what it caught once more when it is done
    config = uvicorn.Config(
        build(routes, version=release.version()),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=None if settings.tls is None else settings.tls.cert,
        ssl_keyfile=None if settings.tls is None else settings.tls.key,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(), name=name) for name, work in beside.items()]
        server = _Server(config, stopping, settings.systemd)
        tasks.append(group.create_task(server.supervised(), name="supervised"))
        await server.serve()
        for task in tasks:
            task.cancel()


async def together(parts: Mapping[str, Part]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(part(), name=name)


class _Server(uvicorn.Server):
    """Tells who waits for an answer that this is the end, before it waits for them."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None], systemd: Systemd) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._systemd = systemd
        self._listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listens.set()

    async def supervised(self) -> None:
        """Once it listens: tell systemd so, and that we live for as long as the loop turns."""
        await self._listens.wait()
        said = f"listens on {self.config.host}:{self.config.port}"
        self._systemd.ready(said)
        await self._systemd.watched(loop_turns, lambda: said)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._systemd.stopping("ends")
        self._stopping()
        await super().shutdown(sockets)
