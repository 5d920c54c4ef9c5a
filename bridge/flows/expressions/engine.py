"""Expressions of flows: `evaluate` answers what one comes to."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Self

import msgspec

from bridge.errors import ExpressionFailed
from bridge.flows.expressions.bodies import bodies, named_lookups
from bridge.flows.expressions.children import ChildDied, Children
from bridge.flows.expressions.model import Limits, LookupFailed, Lookups
from bridge.flows.expressions.paths import is_true
from bridge.flows.expressions.shortcuts import ResultOf, short_cut

CHILDREN: Final = 4
GRACE_S: Final = 2.0  # after the engine's own limit, before the process is ended
SHORTEST_S: Final = 0.001
SHOWN_CHARS: Final = 500
RESULT: Final = "result"

Needed = tuple[str, str]  # what, and its name or path
Known = dict[Needed, bytes]  # {"value": …} or {"error": …}


class Said(msgspec.Struct):
    """One of them: the value as JSON text, why there is none, or what has to be looked up first."""

    ok: str | None = None
    error: str | None = None
    missing: list[Needed] = []


class Expressions:
    """Evaluates in processes of their own, of which none is begun before it is needed."""

    def __init__(self, limits: Limits = Limits(), most: int = CHILDREN) -> None:  # noqa: B008 it is frozen
        self._limits = limits
        self._children = Children(most)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._children.close()

    async def evaluate(
        self,
        text: str,
        names: Mapping[str, bytes],
        lookups: Lookups,
        *,
        previous_id: str | None = None,
        as_boolean: bool = False,
    ) -> bytes:
        """What it comes to, as JSON text; undefined is null. Raises `ExpressionFailed` and as `lookups` do.

        `names` are the variables it sees, as JSON text, beside `results` and the functions of `Lookups`.
        """
        short = short_cut(text, names, previous_id)
        if isinstance(short, ResultOf):
            value = await lookups.result_by_id(short.step_id, short.path)
        else:
            value = short.json if short is not None else await self._run(text, names, lookups, as_boolean)
        if not as_boolean:
            return value
        return b"true" if is_true(value) else b"false"

    async def _run(self, text: str, names: Mapping[str, bytes], lookups: Lookups, as_boolean: bool) -> bytes:  # noqa: FBT001 handed on
        """The engine never waits: it stops at what it does not know, and is run again with that."""
        tried = msgspec.json.encode(bodies(text, as_boolean=as_boolean)).decode()
        missing = sorted(named_lookups(text))
        known: Known = {}
        left_s = self._limits.time_s
        while True:
            if len(known) + len(missing) > self._limits.lookups:
                raise _failed(text, f"it looks up more than {self._limits.lookups} things")
            known |= await _looked_up(missing, lookups)
            said, spent_s = await self._said(text, tried, _given(names, known), left_s)
            left_s = max(SHORTEST_S, left_s - spent_s)
            if said.ok is not None:
                return said.ok.encode()
            missing = [needed for needed in said.missing if needed not in known]
            if not missing:
                raise _failed(text, self._plainly(said.error))

    async def _said(self, text: str, tried: str, given: bytes, left_s: float) -> tuple[Said, float]:
        limits = self._limits
        request = {
            "given": given.decode(),
            "bodies": tried,
            "time_s": left_s,
            "memory_mb": limits.memory_mb,
        }
        try:
            answer = await self._children.ask(request, left_s + GRACE_S)
        except TimeoutError:
            raise _failed(text, f"it took longer than {limits.time_s:g} s") from None
        except ChildDied:
            raise _failed(text, "the process that evaluated it died") from None
        if "error" in answer:
            raise _failed(text, self._plainly(answer["error"]))
        return msgspec.json.decode(answer["json"], type=Said), answer["spent_s"]

    def _plainly(self, error: str | None) -> str:
        """The engine's own words for a bound that was met are few."""
        if error is None:
            return "it waits for something that never comes"
        if error in {"", "null"} or "out of memory" in error:
            return f"it needs more than {self._limits.memory_mb} MB of memory"
        if "interrupted" in error:
            return f"it took longer than {self._limits.time_s:g} s"
        return error


def _failed(text: str, why: str) -> ExpressionFailed:
    shown = text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
    return ExpressionFailed(f"Error during isolated evaluation of expression `{shown}`: {why}")


def _given(names: Mapping[str, bytes], known: Known) -> bytes:
    """One JSON text, put together from texts."""
    by_what: dict[str, dict[str, msgspec.Raw]] = {}
    for (what, name), value in known.items():
        by_what.setdefault(what, {})[name] = msgspec.Raw(value)
    bound = {name: msgspec.Raw(value) for name, value in names.items()}
    return msgspec.json.encode({"names": bound, "known": by_what})


async def _looked_up(needed: Sequence[Needed], lookups: Lookups) -> Known:
    try:
        async with asyncio.TaskGroup() as group:
            asked = {one: group.create_task(_look_up(one, lookups)) for one in needed}
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return {one: task.result() for one, task in asked.items()}


async def _look_up(needed: Needed, lookups: Lookups) -> bytes:
    what, name = needed
    try:
        if what == RESULT:
            value = await lookups.result_by_id(name, ())
        elif what == "variable":
            value = await lookups.variable(name)
        elif what == "resource":
            value = await lookups.resource(name)
        else:
            value = await lookups.flow_user_state(name)
    except LookupFailed as error:
        return msgspec.json.encode({"error": str(error)})
    return b'{"value":' + value + b"}"
