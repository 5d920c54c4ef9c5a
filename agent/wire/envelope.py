"""Messages to bytes and back: msgpack maps, signed, compressed when it helps (DESIGN section 4).

A body is `{"v": 1, "m": [map, …]}`: several messages of a flush share one envelope, a job travels alone.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from itertools import chain
from reprlib import repr as shown  # of what came: short, however long or deep that is
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgpack

from agent.wire.errors import BadSignature, Malformed, TooLarge, WireError, WrongVersion
from agent.wire.messages import KINDS, Job, Message

VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024 * 1024
BLOB_PART_BYTES: Final = 128 * 1024
COMPRESS_OVER_BYTES: Final = 1024
INT_BITS: Final = 62  # both stores keep 64, and what is added to it must still fit
NUMBER_BITS: Final = 53  # of seconds: in milliseconds they still fit
CONTENT_TYPE: Final = "application/vnd.msgpack"
ZSTD: Final = "zstd"
INTRODUCED: Final = "introduced"  # header of a signed message: `proofs.Introduction`s of its key, with spaces

Sign = Callable[[bytes], tuple[str, bytes]]  # body → (kid, signature)
Verify = Callable[[str, bytes, bytes], bool]  # kid, signature, body → is it ours?
Compress = Callable[[bytes], bytes]
Decompress = Callable[[bytes, int], bytes]  # bytes, most bytes to give → bytes; raises ValueError


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the broker carries: a body, its encoding, and headers."""

    body: bytes
    content_encoding: Literal["zstd"] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def pack(messages: Sequence[Message]) -> bytes:
    """The exact bytes of a body: what is signed, and what is kept."""
    packed: bytes = msgpack.packb({"v": VERSION, "m": [_to_map(message) for message in messages]})
    if len(packed) > MAX_BYTES:
        raise TooLarge(f"{len(packed)} bytes to send and {MAX_BYTES} are allowed")
    return packed


def seal(body: bytes, compress: Compress, sign: Sign | None = None) -> Envelope:
    """Sign the exact bytes, then compress them if that makes them smaller."""
    headers: dict[str, str] = {}
    if sign is not None:
        headers["kid"], signature = sign(body)
        headers["sig"] = base64.b64encode(signature).decode()
    if len(body) > COMPRESS_OVER_BYTES:
        smaller = compress(body)
        if len(smaller) < len(body):
            return Envelope(smaller, ZSTD, headers)
    return Envelope(body, None, headers)


def unseal(body: bytes, content_encoding: str | None, decompress: Decompress) -> bytes:
    """The exact bytes that were packed. Raises `TooLarge` and `Malformed`."""
    if len(body) > MAX_BYTES:
        raise TooLarge(f"{len(body)} bytes came and {MAX_BYTES} are allowed")
    if not content_encoding:
        return body
    if content_encoding != ZSTD:
        raise Malformed(f"content encoding {shown(content_encoding)} is not spoken here; send zstd or none")
    try:
        return decompress(body, MAX_BYTES)
    except ValueError as error:
        raise Malformed(f"the zstd frame is damaged or unpacks to over {MAX_BYTES} bytes: {error}") from error


def unpack(body: bytes) -> list[Message]:
    """The messages of a body. Raises `Malformed`, `WrongVersion`; unknown fields are ignored."""
    try:
        outer = msgpack.unpackb(body, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise Malformed(f"not msgpack: {error}") from error
    if not isinstance(outer, dict) or "v" not in outer:
        raise Malformed('not an envelope: a map with "v" and "m" is expected')
    if outer["v"] != VERSION:
        raise WrongVersion(
            f"version {shown(outer['v'])} came and {VERSION} is spoken here; upgrade the older side"
        )
    items = outer.get("m")
    if not isinstance(items, list):
        raise Malformed('"m" must be a list of messages')
    return [_from_map(item) for item in items]


def open_job(body: bytes, headers: Mapping[str, object], verify: Verify) -> Job:
    """The one job in a signed body (I4). Raises `BadSignature`, `Malformed`, `WrongVersion`."""
    require_signed(body, headers, verify, "job")
    return job_in(body)


def require_signed(body: bytes, headers: Mapping[str, object], verify: Verify, what: str) -> None:
    """The exact bytes, by a key that `verify` knows. Raises `BadSignature`."""
    kid, signature = headers.get("kid"), headers.get("sig")
    if not isinstance(kid, str) or not isinstance(signature, str):
        raise BadSignature(f"the {what} carries no signature; only signed ones are taken")
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        raise BadSignature("the signature is not base64") from None
    if not verify(kid, raw, body):
        raise BadSignature(
            f"the signature by key {shown(kid)} does not fit; the key is unknown or the {what} was changed"
        )


def job_in(body: bytes) -> Job:
    """The one job in a body that needs no proof. Raises `Malformed`, `WrongVersion`."""
    messages = unpack(body)
    if len(messages) != 1 or not isinstance(messages[0], Job):
        raise Malformed("a job must travel alone in its envelope")
    return messages[0]


def claimed_job(body: bytes) -> Job | None:
    """The job that an unproved body says it is. A hint for a report, never to be run (I4)."""
    try:
        messages = unpack(body)
    except WireError:
        return None
    return messages[0] if len(messages) == 1 and isinstance(messages[0], Job) else None


def _to_map(message: Message) -> dict[str, Any]:
    values = {name: getattr(message, name) for name in _SHAPES[type(message)]}
    return {"k": message.KIND} | {
        name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()
    }


def _from_map(item: object) -> Message:
    if not isinstance(item, dict):
        raise Malformed("a message must be a map")
    said = item.get("k")
    kind = KINDS.get(said) if isinstance(said, str) else None
    if kind is None:
        raise Malformed(f"message kind {shown(said)} is unknown; known are {', '.join(KINDS)}")
    values = {}
    for name, (allowed, enum, required) in _SHAPES[kind].items():
        if name not in item:
            if required:
                raise Malformed(f"{kind.KIND}: the field {name!r} is missing")
            continue
        values[name] = _checked(kind.KIND, name, item[name], allowed, enum)
    return kind(**values)


def _checked(kind: str, name: str, value: Any, allowed: tuple[type, ...], enum: type[StrEnum] | None) -> Any:
    # bool is an int to Python but not to us
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        wanted = " or ".join(one.__name__ for one in allowed)
        raise Malformed(f"{kind}: {name!r} must be {wanted}, not {type(value).__name__}")
    bits = NUMBER_BITS if float in allowed else INT_BITS
    if type(value) in (int, float) and not -(2**bits) < value < 2**bits:  # no NaN is
        raise Malformed(f"{kind}: {name!r} must fit in {bits} bits, not {value}")
    if isinstance(value, list | dict) and not all(isinstance(one, str) for one in _inside(value)):
        raise Malformed(f"{kind}: {name!r} must hold texts only")
    if enum is None:
        return value
    try:
        return enum(str(value))
    except ValueError:
        raise Malformed(f"{kind}: {name!r} must be one of {', '.join(enum)}, not {shown(value)}") from None


def _inside(value: list[Any] | dict[Any, Any]) -> Iterable[Any]:
    return value if isinstance(value, list) else chain(value, value.values())


def _shape(kind: type[Message]) -> dict[str, tuple[tuple[type, ...], type[StrEnum] | None, bool]]:
    """Per field: the types allowed on the wire, the enum it becomes, whether it must be there."""
    hints = get_type_hints(kind)
    return {
        one.name: (*_wire_types(hints[one.name]), one.default is MISSING and one.default_factory is MISSING)
        for one in fields(kind)
    }


def _wire_types(hint: Any) -> tuple[tuple[type, ...], type[StrEnum] | None]:
    if isinstance(hint, UnionType):
        allowed: tuple[type, ...] = ()
        for arm in get_args(hint):
            allowed += _wire_types(arm)[0]
        return allowed, None
    hint = getattr(hint, "__supertype__", hint)  # a NewType travels as what it is made of
    hint = get_origin(hint) or hint
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return (str,), hint
    return ((int, float) if hint is float else (hint,)), None


_SHAPES: Final = {kind: _shape(kind) for kind in KINDS.values()}
