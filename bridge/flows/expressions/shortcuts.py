"""What needs no JavaScript: the paths that most inputs of steps are. Pure.

What a short cut answers is what the engine would, but for two things that the original does too: a key of
`flow_input` or `flow_env` may have any name (`flow_input.a.b` is the key "a.b" where there is one), and a
path into a result that leads nowhere is null where the engine would fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from bridge.flows.expressions.paths import Path, found, read

WITH_ANY_KEYS: Final = ("flow_input", "flow_env")
RESULTS: Final = "results"
PREVIOUS: Final = "previous_result"
LENGTH: Final = "length"
PROTOTYPE: Final = "__proto__"  # every value has one, and a value may also have a key of this name


@dataclass(frozen=True, slots=True)
class Value:
    """JSON text."""

    json: bytes


@dataclass(frozen=True, slots=True)
class ResultOf:
    """What `result_by_id` answers."""

    step_id: str
    path: Path


def short_cut(text: str, names: Mapping[str, bytes], previous_id: str | None) -> Value | ResultOf | None:
    """None: only the engine can tell."""
    text = text.strip()
    if text in names:
        return Value(names[text])
    whole = _top_level_key(text, names)
    if whole is not None:
        return Value(whole)
    path = read(text)
    if path is None or PROTOTYPE in path[1]:
        return None
    name, steps = path
    if name == RESULTS and RESULTS not in names:
        return _of_results(steps, names, previous_id)
    return _of_a_name(names[name], steps) if name in names else None


def _top_level_key(text: str, names: Mapping[str, bytes]) -> bytes | None:
    for name in WITH_ANY_KEYS:
        dotted = text.startswith(f"{name}.")
        quoted = text.startswith(f'{name}["') and text.endswith('"]')
        if name in names and (dotted or quoted):
            key = text[len(name) + 1 :] if dotted else text[len(name) + 2 : -2]
            return _found(names[name], (key,))
    return None


def _of_results(steps: Path, names: Mapping[str, bytes], previous_id: str | None) -> Value | ResultOf | None:
    if not steps or not isinstance(steps[0], str) or (len(steps) > 1 and steps[-1] == LENGTH):
        return None
    if len(steps) == 1 and steps[0] == previous_id and PREVIOUS in names:
        return Value(names[PREVIOUS])
    return ResultOf(steps[0], steps[1:])


def _of_a_name(json: bytes, steps: Path) -> Value | None:
    value = _found(json, steps)
    return None if value is None else Value(value)


def _found(json: bytes, path: Path) -> bytes | None:
    try:
        return found(json.strip(), path)
    except (msgspec.DecodeError, RecursionError):
        return None  # the engine says what is wrong with it
