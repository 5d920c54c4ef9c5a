"""A link that counts the parts of documents that are sent over it, as the site's agent sends them."""

import asyncio
import struct
from typing import Final

from dev_tools.proxy import LinkProxy

PROTOCOL_BYTES: Final = 8  # "AMQP0091", before the first frame
FRAME_HEAD: Final = struct.Struct(">BHI")  # type, channel, size; the payload and an end octet follow
PUBLISH: Final = struct.pack(">BHH", 1, 60, 40)[1:]
METHOD: Final = 1


class PartsLink(LinkProxy):
    """A part counts when it has begun: one that a cut tears is a part sent, and is sent again."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self.parts = 0
        super().__init__(target_host, target_port)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        await super()._pump(_Heard(reader, self) if is_up else reader, writer, is_up=is_up)


class _Heard(asyncio.StreamReader):
    """What is read from the agent, frame by frame as well."""

    def __init__(self, reader: asyncio.StreamReader, link: PartsLink) -> None:
        super().__init__()
        self._reader = reader
        self._link = link
        self._frames = bytearray()
        self._skip = PROTOCOL_BYTES

    async def read(self, n: int = -1) -> bytes:
        chunk = await self._reader.read(n)
        self._frames += chunk
        self._hear()
        return chunk

    def _hear(self) -> None:
        while True:
            skipped = min(self._skip, len(self._frames))
            del self._frames[:skipped]
            self._skip -= skipped
            if self._skip or len(self._frames) < FRAME_HEAD.size:
                return
            kind, _, size = FRAME_HEAD.unpack_from(self._frames)
            if kind == METHOD and len(self._frames) < FRAME_HEAD.size + size:
                return
            if kind == METHOD and self._is_part(self._frames[FRAME_HEAD.size : FRAME_HEAD.size + size]):
                self._link.parts += 1
            self._skip = FRAME_HEAD.size + size + 1

    @staticmethod
    def _is_part(method: bytearray) -> bool:
        """Whether it publishes with the key `blob.…`: after 16 bits come two short strings."""
        if not method.startswith(PUBLISH):
            return False
        key = len(PUBLISH) + 2 + 1 + method[len(PUBLISH) + 2]
        return method[key + 1 :].startswith(b"blob.")
