"""Properties of tag interpolation (agent-api.md 4.2): any template, any arguments, any workspace."""

import contextlib
import json
from typing import TypeAlias

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.routing import NAME_MAX_BYTES, job_key, job_queue
from bridge.errors import BadRequest
from bridge.jobs.push import checked_args
from bridge.jobs.tags import assign, interpolate

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PLAIN = TEXTS.filter(lambda text: "$" not in text)
NAMES = st.from_regex(r"\A\w{1,5}\Z")
WORKSPACES = st.from_regex(r"\A[a-z0-9-]{1,50}\Z")
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
MARKS = st.sampled_from(["$workspace", "$args[site]", "$args[n]", "$args[none such]", "$args[]", "$", "$$"])


def text_of(value: Json) -> str:
    return msgspec.json.encode(value).decode().strip('"')


@given(st.lists(PLAIN | st.tuples(NAMES) | st.none(), max_size=6), ARGUMENTS, WORKSPACES)
def test_nothing_else_changes_and_nothing_is_replaced_twice(
    parts: list[str | tuple[str] | None], arguments: dict[str, Json], workspace: str
) -> None:
    arguments |= {"site": "$args[n]$workspace"}
    template, expected = "", ""
    for part in (*parts, ("site",)):
        if part is None:
            template, expected = template + "$workspace", expected + workspace
        elif isinstance(part, str):
            template, expected = template + part, expected + part
        else:
            name = part[0]
            template += f"$args[{name}]"
            expected += text_of(arguments[name]) if name in arguments else ""
    raw = checked_args(msgspec.json.encode(arguments))
    assert interpolate(template, workspace, raw) == expected


@given(st.lists(TEXTS | MARKS, max_size=8).map("".join), ARGUMENTS, WORKSPACES)
def test_whatever_it_becomes_has_a_queue_or_is_refused(
    template: str, arguments: dict[str, Json], workspace: str
) -> None:
    raw = checked_args(json.dumps(arguments).encode())
    with contextlib.suppress(BadRequest):
        tag = assign(template, "bash", workspace, raw)
        assert tag
        assert max(len(job_queue(tag)), len(job_key(workspace, tag))) <= NAME_MAX_BYTES
