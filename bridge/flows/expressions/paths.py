"""Simple paths, `results.a[0].name`: read as text, and followed in JSON text. Pure."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

NULL: Final = b"null"
STEP: Final = re.compile(
    r"""\s*(?:\??\.\s*(?P<name>[A-Za-z_$][\w$]*)
      |(?:\?\.)?\[\s*(?:(?P<index>\d{1,9})|"(?P<double>[^"\\\n]*)"|'(?P<single>[^'\\\n]*)')\s*\])""",
    re.ASCII | re.VERBOSE,
)
INDEX: Final = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
INDEXED: Final = re.compile(r"\[(\d{1,9})\]", re.ASCII)
NAME: Final = re.compile(r"\s*([A-Za-z_$][\w$]*)", re.ASCII)

Path = tuple[str | int, ...]


def read(text: str) -> tuple[str, Path] | None:
    """`a.b[0]["c d"]` as ("a", ("b", 0, "c d")); None for whatever is not a name and plain steps from it."""
    start = NAME.match(text)
    if start is None:
        return None
    at, end = start.end(), len(text.rstrip())
    steps: list[str | int] = []
    while at < end:
        step = STEP.match(text, at)
        if step is None:
            return None
        steps.append(int(step["index"]) if step["index"] is not None else step[step.lastgroup or "name"])
        at = step.end()
    return start[1], tuple(steps)


def found(json: bytes, path: Sequence[str | int]) -> bytes | None:
    """The value at the end of `path`, byte for byte; None when a step is no own key or index of its value."""
    for step in path:
        if json[:1] == b"{":
            value = msgspec.json.decode(json, type=dict[str, msgspec.Raw]).get(str(step))
        elif json[:1] == b"[" and INDEX.fullmatch(str(step)):
            items = msgspec.json.decode(json, type=list[msgspec.Raw])
            value = items[int(step)] if int(step) < len(items) else None
        else:
            value = None
        if value is None:
            return None
        json = bytes(value).strip()
    return json


def pick(json: bytes, path: Sequence[str | int]) -> bytes:
    """The value at the end of `path`, `null` when it leads nowhere. Raises nothing, whatever `json` is."""
    try:
        value = found(json.strip(), path)
    except (msgspec.DecodeError, RecursionError):
        return NULL
    return NULL if value is None else value


def dotted(path: Sequence[str | int]) -> str:
    """As `result_by_id` of the API writes it."""
    return ".".join(str(step) for step in path)


def undotted(text: str) -> Path:
    """`a.0.b`, also `a[0].b`, as ("a", "0", "b"); "" is the whole."""
    return tuple(step for step in INDEXED.sub(r".\1", text).split(".") if step)


def is_true(json: bytes) -> bool:
    """`Boolean(value)` of JavaScript."""
    text = json.strip()
    if text[:1] in b"-0123456789":
        return float(text) != 0
    return text not in {NULL, b"false", b'""'}
