"""I6: a job whose arguments name too much ends before it is held; what is too large to look into stays."""

from typing import Any

import pytest

from agent.wire.arguments import CHARS_MAX, DEPTH_MAX, ITEMS_MAX, LOOKUPS_MAX, resolved
from agent.wire.errors import Unresolved

JOB = {
    "id": "j", "workspace_id": "süd/1", "created_by": "ana", "permissioned_as": "u/ana",
    "permissioned_as_email": "ana@shop", "scheduled_for": "2026-01-01T00:00:00Z",
}  # fmt: skip


async def found(args: Any, value: Any = "found") -> dict[str, Any]:
    async def look_up(path: str) -> Any:
        assert path == "/api/w/s%C3%BCd%2F1/variables/get_value/f/x"
        return value

    return (await resolved({"job": JOB | {"args": args}, "token": "jwt_x"}, look_up)).values


def deep(depth: int) -> Any:
    value: Any = "$var:f/x"
    for _ in range(depth):
        value = [value]
    return value


async def test_by_how_many_and_how_much() -> None:
    assert await found({"a": ["$var:f/x"] * LOOKUPS_MAX}) == {"a": ["found"] * LOOKUPS_MAX}
    with pytest.raises(Unresolved, match="argument `b`: more than 1000 variables"):
        await found({"a": ["$var:f/x"] * LOOKUPS_MAX, "b": "$var:f/x"})
    with pytest.raises(Unresolved, match="16777216 characters"):
        await found({"a": "$var:f/x"}, "x" * CHARS_MAX)


async def test_what_is_too_long_or_too_deep_is_passed_on_as_it_is() -> None:
    long = {"a": ["$var:f/x"] * (ITEMS_MAX + 1)}
    assert await found(long) == long
    assert await found({"a": deep(DEPTH_MAX + 1)}) == {"a": deep(DEPTH_MAX + 1)}


async def test_a_job_without_arguments_has_none() -> None:
    assert await found(None) == {}
