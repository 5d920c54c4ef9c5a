"""A site's link: TCP, forwarded by us, so that it can really be cut."""

import asyncio
from contextlib import suppress
from typing import Final

READ_BYTES: Final = 64 * 1024


class SiteLink:
    """Everything between one site and head office: some ports at an address of the site's own."""

    def __init__(self, host: str, ports: dict[int, int]) -> None:
        """`ports`: port at `host` → port at 127.0.0.1."""
        self._host = host
        self._ports = ports
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def is_up(self) -> bool:
        return bool(self._servers)

    async def restore(self) -> None:
        for port, target in self._ports.items():

            async def forward(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int = target
            ) -> None:
                await self._forward(reader, writer, target)

            self._servers.append(await asyncio.start_server(forward, self._host, port))

    def cut(self) -> None:
        """Every connection is reset and new ones are refused."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for writer in list(self._open):
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: int) -> None:
        self._open.add(writer)
        try:
            with suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", target)
                self._open.add(back)
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._pipe(reader, back))
                        group.create_task(self._pipe(there, writer))
                finally:
                    self._open.discard(back)
                    back.transport.abort()
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(READ_BYTES):
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
