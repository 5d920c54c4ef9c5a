"""The inline steps of a flow: each has its lock beside its code, in the flow's own value. Pure.

Nothing else of the value is touched, so ids, transforms and the order of everything stay as deployed.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import Find, Request, request_of
from bridge.dependencies.locks import NOTHING, RESOLVED

INLINE: Final = "rawscript"
FindIn = Callable[[str], Find]  # by the language that imports

Step = dict[str, Any]  # a module whose value is inline code
Locks = Mapping[str, str]  # by the step's id


def settled(value: bytes, path: str, find_in: FindIn) -> tuple[bytes, bool]:
    """The value with the locks that need no looking up, and whether others are missing."""
    flow, missing = json.loads(value), False
    for step in _inline(flow):
        if step["value"].get("lock"):
            continue  # it is believed
        try:
            request = request_of_step(step, path, find_in)
        except NotResolved:
            lock = None  # the job says why
        else:
            lock = NOTHING if request is None else request.settled()
        step["value"]["lock"] = lock
        missing = missing or lock is None
    return json.dumps(flow).encode(), missing


def missing(value: bytes) -> list[Step]:
    """The steps that have no lock yet."""
    return list(_unresolved(json.loads(value)))


def with_locks(value: bytes, locks: Locks) -> bytes:
    """Where a step has one by now, it stays."""
    flow = json.loads(value)
    for step in _unresolved(flow):
        step["value"]["lock"] = locks.get(step["id"])
    return json.dumps(flow).encode()


def request_of_step(step: Step, flow_path: str, find_in: FindIn) -> Request | None:
    """None: its language has no dependencies. Raises `NotResolved`."""
    code = step["value"]
    if code["language"] not in RESOLVED:
        return None
    path = code.get("path") or f"{flow_path}/{step['id']}"
    return request_of(code["language"], code["content"], path, find_in(code["language"]))


def _unresolved(flow: Mapping[str, Any]) -> Iterator[Step]:
    """An empty lock is one: of a language without dependencies, or of code that has none."""
    return (step for step in _inline(flow) if step["value"].get("lock") is None)


def _inline(flow: Mapping[str, Any]) -> Iterator[Step]:
    return (module for module in _modules(flow) if module["value"]["type"] == INLINE)


def _modules(flow: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All of them, however deep they stand."""
    waiting = [*flow.get("modules", ()), flow.get("failure_module"), flow.get("preprocessor_module")]
    while waiting:
        module = waiting.pop()
        if module is None:
            continue
        yield module
        value = module["value"]
        waiting += [*(value.get("modules") or ()), *(value.get("default") or ())]
        for branch in value.get("branches") or ():
            waiting += branch.get("modules") or ()
