"""How the bridge and a child that evaluates speak: messages with their length in front, over pipes."""

import struct
from typing import Any, BinaryIO, Final

import msgpack

LENGTH: Final = struct.Struct(">I")


def packed(message: dict[str, Any]) -> bytes:
    body: bytes = msgpack.packb(message)
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes) -> dict[str, Any]:
    message: dict[str, Any] = msgpack.unpackb(body)
    return message


def read_from(pipe: BinaryIO) -> dict[str, Any] | None:
    """None at its end."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return unpacked(pipe.read(*LENGTH.unpack(head)))
