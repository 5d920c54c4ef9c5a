"""Locks go into the flow's value, beside the code; nothing else of it is another one."""

import json
from typing import Any

from bridge.dependencies.flow_steps import missing, settled, with_locks


def step(name: str, content: str, language: str = "python3", **more: Any) -> dict[str, Any]:
    return {"id": name, "value": {"type": "rawscript", "language": language, "content": content, **more}}


FLOW = {
    "modules": [
        step("a", "import httpx"),
        step("b", "import os", input_transforms={"x": {"type": "static", "value": 1}}),
        {
            "id": "l",
            "value": {
                "type": "forloopflow",
                "iterator": {"type": "static", "value": []},
                "modules": [step("c", "echo hi", "bash")],
            },
        },
        {
            "id": "o",
            "value": {
                "type": "branchone",
                "branches": [{"expr": "true", "modules": [step("d", "from .lib import x")]}],
                "default": [step("e", "import fs from 'fs'", "bun")],
            },
        },
        step("g", "import httpx", lock="httpx==0.1"),
        {"id": "s", "value": {"type": "script", "path": "f/shop/a"}},
    ],
    "failure_module": step("failure", "# requirements:\n# -e .\n"),
    "preprocessor_module": None,
    "unknown": {"kept": True},
}
SCRIPTS = {"f/shop/nightly/lib": "import rich"}


def value() -> bytes:
    return json.dumps(FLOW).encode()


def locks_of(text: bytes) -> dict[str, Any]:
    """By the step's id, however deep it stands."""
    found: dict[str, Any] = {}

    def look(at: Any) -> None:
        if isinstance(at, dict):
            if isinstance(at.get("value"), dict) and "content" in at["value"]:
                found[at["id"]] = at["value"].get("lock")
            for one in at.values():
                look(one)
        elif isinstance(at, list):
            for one in at:
                look(one)

    look(json.loads(text))
    return found


def without_locks(text: bytes) -> Any:
    return json.loads(text, object_hook=lambda at: {key: at[key] for key in at if key != "lock"})


def test_those_that_need_nothing_at_once_and_the_others_when_they_are_known() -> None:
    first, is_missing = settled(value(), "f/shop/nightly", lambda _: SCRIPTS.get)
    known = {"b": "# py: 3.11", "c": "", "e": "", "g": "httpx==0.1"}
    assert is_missing
    assert locks_of(first) == {**known, "a": None, "d": None, "failure": None}
    assert sorted(one["id"] for one in missing(first)) == ["a", "d", "failure"]
    second = with_locks(first, {"a": "# py: 3.11\nhttpx==1", "d": "# py: 3.11\nrich==1"})
    assert locks_of(second) == {
        **known, "a": "# py: 3.11\nhttpx==1", "d": "# py: 3.11\nrich==1", "failure": None,
    }  # fmt: skip
    third = with_locks(second, {"a": "later", "failure": "# py: 3.11"})
    assert locks_of(third) == {**locks_of(second), "failure": "# py: 3.11"}
    assert without_locks(third) == without_locks(value())


def test_a_flow_without_inline_steps_misses_nothing() -> None:
    text = json.dumps({"modules": [{"id": "s", "value": {"type": "script", "path": "f/shop/a"}}]}).encode()
    assert settled(text, "f/shop/x", lambda _: SCRIPTS.get) == (text, False)
