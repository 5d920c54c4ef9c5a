"""The web server, with what runs beside it, until a signal."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import uvicorn
from starlette.routing import BaseRoute

from agent import release
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
        await _Server(config, stopping).serve()
        for task in tasks:
            task.cancel()


async def together(parts: Mapping[str, Part]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(part(), name=name)


class _Server(uvicorn.Server):
    """Tells who waits for an answer that this is the end, before it waits for them."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)
