"""True messages and requests, a little or wholly wrong: drawn from a seed."""

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, TypeAlias

import msgpack
import zstandard

from agent.compression import compress
from agent.wire.envelope import MAX_BYTES
from agent.wire.messages import KINDS

Tree: TypeAlias = Any  # what msgpack and JSON are made of

DEEP: Final = 1000  # lists within each other: as deep as msgpack reads, deeper than Python likes
LONG: Final = 300_000
FLIPS_MAX: Final = 8
ALIKE: Final = 0.7  # of odd values: of the type that is due
MESSAGES: Final = 0.9  # of changes: within a message, and not in what is around them


def deep(depth: int) -> Tree:
    tree: Tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


ODD: Final[Sequence[Tree]] = (
    None, True, False, 0, -1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 1e308, math.nan, math.inf,
    -math.inf, -0.0, "", "\0", "x" * LONG, "é" * 300, "\ud800", "%00", "../../x", "null", b"", b"\xff",
    b"x" * LONG, [], {}, [[]], {"": ""}, {"k": "job"}, {"v": 1, "m": []}, [None] * 1000,
    deep(DEEP), deep(100), msgpack.Timestamp(2**33, 1), msgpack.ExtType(5, b"ext"),
    *KINDS,
)  # fmt: skip


def _endless_zeros() -> bytes:
    """A frame that does not say how much it unpacks to."""
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(bytes(MAX_BYTES + 1)) + stream.flush()


BOMBS: Final = (
    compress(bytes(MAX_BYTES + 1)),
    _endless_zeros(),
    compress(msgpack.packb({"v": 1, "m": [{"k": "x" * (MAX_BYTES - 100)}]})),
    compress(msgpack.packb({"v": "v" * (MAX_BYTES - 100), "m": []})),
    compress(msgpack.packb({"v": 1, "m": [{}] * 1_000_000})),
    compress(msgpack.packb({"v": 1, "m": [{"k": deep(DEEP)}]})),
    compress(msgpack.packb({"v": deep(DEEP), "m": []})),
    compress(b"\xdd\xff\xff\xff\xff"),  # a list of four thousand million, of which none comes
)


def flipped(draw: Random, body: bytes) -> bytes:
    changed = bytearray(body or b"\0")
    for _ in range(draw.randint(1, FLIPS_MAX)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(draw: Random, body: bytes) -> bytes:
    return body[: draw.randrange(len(body) + 1)]


def spliced(draw: Random, body: bytes) -> bytes:
    """A stretch of it stands where another was, or stands twice, or is gone."""
    first, second, third, fourth = (draw.randrange(len(body) + 1) for _ in range(4))
    return body[:first] + body[min(second, third) : max(second, third)] + body[fourth:]


def noise(draw: Random, body: bytes) -> bytes:
    return draw.randbytes(draw.randrange(200))


BYTES: Final[Sequence[Callable[[Random, bytes], bytes]]] = (flipped, cut, spliced, noise)


def damaged(draw: Random, body: bytes) -> bytes:
    return draw.choice(BYTES)(draw, body)


def reshaped(draw: Random, tree: Tree) -> Tree:
    """`tree` with one thing in it that is odd, missing, repeated or renamed."""
    if isinstance(tree, dict) and tree and draw.random() < 0.9:
        return _reshaped_map(draw, dict(tree))
    if isinstance(tree, list) and tree and draw.random() < 0.9:
        place = draw.randrange(len(tree))
        how = draw.random()
        if how < 0.1:
            return tree[:place] + tree[place + 1 :]
        if how < 0.2:
            return [*tree, tree[place]]
        return [*tree[:place], reshaped(draw, tree[place]), *tree[place + 1 :]]
    alike = [one for one in ODD if type(one) is type(tree)]
    return draw.choice(alike if alike and draw.random() < ALIKE else ODD)


def _reshaped_map(draw: Random, tree: dict[Tree, Tree]) -> Tree:
    key = draw.choice(list(tree))
    how = draw.random()
    if how < 0.08:
        del tree[key]
    elif how < 0.16:
        tree[draw.choice(("", "k", "v", "x" * 1000, "\0", b"k", 1))] = tree.pop(key)
    elif how < 0.24:
        tree[key], other = draw.choice(list(tree.values())), tree[key]
        tree[draw.choice(list(tree))] = other
    else:
        tree[key] = reshaped(draw, tree[key])
    return tree


def repacked(draw: Random, body: bytes) -> bytes:
    """A msgpack body whose structure is changed and whose bytes are in order."""
    tree = msgpack.unpackb(body, strict_map_key=False)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        if isinstance(tree, dict) and isinstance(tree.get("m"), list) and draw.random() < MESSAGES:
            tree["m"] = reshaped(draw, tree["m"])
        else:
            tree = reshaped(draw, tree)
    try:
        packed: bytes = msgpack.packb(tree, unicode_errors="surrogatepass")
    except (ValueError, OverflowError):  # deeper than msgpack packs
        return damaged(draw, body)
    return packed


def crossed(draw: Random, body: bytes, other: bytes) -> bytes:
    """Two true bodies, mixed: a message of one with fields of the other's, or with the other's beside it."""
    tree, more = msgpack.unpackb(body), msgpack.unpackb(other)["m"]
    message, theirs = draw.choice(tree["m"]), draw.choice(more)
    shared = sorted(message.keys() & theirs.keys() - {"k"})
    if shared:
        name = draw.choice(shared)
        message[name] = theirs[name]
    if not shared or draw.random() < 0.3:
        tree["m"].append(theirs)
    packed: bytes = msgpack.packb(tree)
    return packed
