"""Short cuts answer what the engine would; and the engine is not begun for them."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.flows.expressions.bodies import is_statement
from bridge.flows.expressions.child import answer
from bridge.flows.expressions.engine import Expressions
from bridge.flows.expressions.paths import dotted, is_true, pick, read, undotted
from bridge.flows.expressions.shortcuts import ResultOf, Value, short_cut
from tests.support.children import child_processes
from tests.support.looking_up import Kept

KEYS = st.sampled_from(["a", "b", "iter", "index", "value", "length", "constructor", "__proto__", "x y", "0"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
STEPS = st.lists(
    st.one_of(
        st.sampled_from([".a", ".b", "?.iter", ".length", ".constructor", ".index", ".value", ".toString"]),
        st.sampled_from(['["a"]', "['x y']", "[0]", "?.[1]", '["0"]', '["__proto__"]']),
    ),
    max_size=3,
).map("".join)


def by_engine(text: str, names: dict[str, bytes], results: dict[str, bytes]) -> dict[str, Any]:
    """In this process: the child's own function."""
    bound = {name: json.loads(value) for name, value in names.items()}
    known = {"result": {step: {"value": json.loads(value)} for step, value in results.items()}}
    request = {
        "given": json.dumps({"names": bound, "known": known}),
        "bodies": json.dumps([f"return (\n{text}\n)"]),
        "time_s": 5.0,
        "memory_mb": 64,
    }
    said: dict[str, Any] = json.loads(answer(request)["json"])
    return said


@settings(max_examples=150, deadline=None)
@given(value=VALUES, steps=STEPS)
@example(value={"iter": {"value": None}}, steps=".iter.value")
@example(value=[], steps=".length")
@example(value={"__proto__": 1}, steps='["__proto__"]')
def test_a_path_from_a_name_is_what_the_engine_says(value: Any, steps: str) -> None:
    names = {"n": json.dumps(value).encode()}
    short = short_cut("n" + steps, names, None)
    if short is not None:
        assert isinstance(short, Value)
        assert json.loads(short.json) == json.loads(by_engine("n" + steps, names, {})["ok"])


@settings(max_examples=150, deadline=None)
@given(value=VALUES, steps=STEPS)
def test_a_path_from_a_result_is_what_the_engine_says(value: Any, steps: str) -> None:
    text = "results.r" + steps
    short = short_cut(text, {}, None)
    if short is None:
        assert steps.endswith("length") or "__proto__" in steps
        return
    assert isinstance(short, ResultOf)
    picked = json.loads(pick(json.dumps(value).encode(), short.path))
    said = by_engine(text, {}, {"r": json.dumps(value).encode()})
    if "ok" not in said:
        assert picked is None  # a path that leads nowhere is null, as in the original
    elif not _is_in_a_text(value, short.path):
        assert picked == json.loads(said["ok"])


def _is_in_a_text(value: Any, path: tuple[str | int, ...]) -> bool:
    """`"abc"[0]`: null here, as in the original."""
    return any(
        isinstance(json.loads(pick(json.dumps(value).encode(), path[:at])), str) for at in range(len(path))
    )


@given(VALUES)
def test_what_counts_as_true_is_what_the_engine_says(value: Any) -> None:
    said = by_engine("Boolean(n)", {"n": json.dumps(value).encode()}, {})
    assert is_true(json.dumps(value).encode()) is json.loads(said["ok"])


@pytest.fixture
def names() -> dict[str, bytes]:
    return {"flow_input": b'{"x": 1, "a b": 2, "c.d": 3}', "previous_result": b'"p"', "flow_env": b'{"E": 4}'}


def test_names_and_keys(names: dict[str, bytes]) -> None:
    found = {text: short_cut(text, names, "a") for text in (
        " flow_input.x ", 'flow_input["a b"]', "flow_input.c.d", "flow_env.E", "results.a", "results['a']",
        "previous_result", "flow_input.no", "flow_input.x.y", "results.a.length", "results", "results.b[0].c",
        "results.b.c?.d", "results.b + 1", "nobody.x",
    )}  # fmt: skip
    assert {text: short for text, short in found.items() if short is not None} == {
        " flow_input.x ": Value(b"1"), 'flow_input["a b"]': Value(b"2"), "flow_input.c.d": Value(b"3"),
        "flow_env.E": Value(b"4"), "results.a": Value(b'"p"'), "results['a']": Value(b'"p"'),
        "previous_result": Value(b'"p"'), "results.b[0].c": ResultOf("b", (0, "c")),
        "results.b.c?.d": ResultOf("b", ("c", "d")),
    }  # fmt: skip


def test_a_path_is_read_and_written() -> None:
    assert read("a . b [ 0 ] ['c d']") == ("a", ("b", 0, "c d"))
    assert dotted(("b", 0, "c")) == "b.0.c"
    assert undotted("b[0].c") == undotted("b.0.c") == ("b", "0", "c")
    assert pick(b'{"b": [{"c": 4}]}', undotted("b.0.c")) == b"4"
    for text in ("", "a + b", "a.", "a[b]", "a()", "a[-1]", "a.b;", "`a`"):
        assert read(text) is None
    assert pick(b"not json", ("a",)) == b"null"


def test_a_statement_returns_by_itself() -> None:
    for text in ("let a = 1", "return 1", "// why\nif (a) {}", "a = 1; a", "/* x */ throw a"):
        assert is_statement(text)
    for text in ("letter", "a + 'x;y'", "`;`", "returned", "a // ; no", "{a: 1}", r"'\';' + 1"):
        assert not is_statement(text)


async def test_no_process_is_begun_for_them(names: dict[str, bytes]) -> None:
    before, kept = child_processes(), Kept({"result b": b'[{"c": 9}]'})
    async with Expressions() as expressions:
        values = [
            await expressions.evaluate(text, names, kept)
            for text in ("flow_input.x", "results.b[0].c", "results.no.x")
        ]
        assert child_processes() == before
        await expressions.evaluate("flow_input.x + 1", names, kept)
        assert child_processes() > before
    assert values == [b"1", b"9", b"null"]
