"""The names, lookups and forms of text of openflow.md 1.4, in the real engine."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bridge.errors import ExpressionFailed
from bridge.flows.expressions.engine import Expressions
from tests.support.looking_up import Kept

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = {
    "flow_input": b'{"x": 3, "l": [1, 2, 3], "path": "u/a/far"}',
    "previous_result": b'{"n": 5}',
    "result": b"[5, 6]",
}
KEPT = {
    "variable u/a/near": b'"near"',
    "variable u/a/far": b'"far"',
    "resource u/a/db": b'{"host": "db"}',
    "flow_user_state k": b"7",
    "result a": b'[{"n": 5}]',
    "result b": b"2",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def expressions() -> AsyncIterator[Expressions]:
    async with Expressions() as opened:
        yield opened


async def value(expressions: Expressions, text: str, **how: Any) -> Any:
    return json.loads(await expressions.evaluate(text, NAMES, Kept(KEPT), **how))


CASES = [
    ("flow_input.x + 1", 4),
    ("flow_input.l.map(x => x * 2)", [2, 4, 6]),
    ("  flow_input.x > 2 ? 'big' : 'small' // why not\n", "big"),
    ("// first\nflow_input.x + 1", 4),
    ("{a: flow_input.x, b: [...flow_input.l]}", {"a": 3, "b": [1, 2, 3]}),
    ("let n = flow_input.x; return n * 2", 6),
    ("if (flow_input.x > 2) { return 'yes' } else { return 'no' }", "yes"),
    ("const f = async () => 5\nreturn await f()", 5),
    ("(() => { let n = 1; return n })()", 1),
    ("'a;b' + `;`", "a;b;"),
    ("flow_input.x + 1;", 4),
    ("for (let i = 0; i < 2; i++);", None),
    ("undefined", None),
    ("flow_input.no", None),
    ("", None),
    ("Promise.resolve(flow_input.x)", 3),
    ("new Date(0)", "1970-01-01T00:00:00.000Z"),
    ("result == 5 || result.length == 2", True),
    ("results.a[0].n + results.b", 7),
    ("results?.a?.[0]?.n + results['b']", 7),
    ("results.no", None),
    ("[1, 2].map(n => n * results.b)", [2, 4]),
    ("['a', 'b'].map(id => results[id])", [[{"n": 5}], 2]),
    ("variable('u/a/near') + '!'", "near!"),
    ("variable(flow_input.path) + (await variable('u/a/near'))", "farnear"),
    ("resource('u/a/db').host", "db"),
    ("flow_user_state('k') + 1", 8),
    ("flow_user_state('other')", None),
    ("(() => { try { return variable('u/a/none') } catch (e) { return e.message } })()",
     "there is no variable u/a/none"),
    ("typeof process + typeof require + typeof fetch + typeof std", "undefined" * 4),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
async def test_it_comes_to(expressions: Expressions, text: str, expected: Any) -> None:
    assert await value(expressions, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("flow_input.x > 2", True), ("flow_input.x", True), ("flow_input.no", False), ("result == 4", False),
     ("results.none", False), ("", False), ("'0'", True)],
)  # fmt: skip
async def test_a_predicate_is_true_or_false(expressions: Expressions, text: str, expected: object) -> None:
    assert await value(expressions, text, as_boolean=True) is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("flow_input.no.more", "TypeError: cannot read property 'more' of undefined"),
        ("nobody + 1", "ReferenceError: nobody is not defined"),
        ("1 +", "SyntaxError"),
        ("variable('u/a/none')", "Error: there is no variable u/a/none"),
        ("throw 'no'", '"no"'),
        ("new Promise(() => {})", "it waits for something that never comes"),
        ("10n", "BigInt"),
    ],
)
async def test_a_failure_quotes_it_and_says_why(expressions: Expressions, text: str, why: str) -> None:
    with pytest.raises(ExpressionFailed) as failed:
        await expressions.evaluate(text, NAMES, Kept(KEPT))
    assert str(failed.value).startswith(f"Error during isolated evaluation of expression `{text}`: ")
    assert why in str(failed.value)


async def test_a_predicate_is_no_statement(expressions: Expressions) -> None:
    with pytest.raises(ExpressionFailed):
        await value(expressions, "return true", as_boolean=True)


async def test_what_stands_in_the_text_is_looked_up_once(expressions: Expressions) -> None:
    kept = Kept(KEPT)
    text = "[1,2,3].map(() => variable('u/a/near') + variable(flow_input.path) + results.b)"
    assert len(json.loads(await expressions.evaluate(text, NAMES, kept))) == 3
    assert kept.asked == {"variable u/a/near": 1, "variable u/a/far": 1, "result b": 1}


async def test_nothing_is_left_for_the_next(expressions: Expressions) -> None:
    await value(expressions, "globalThis.kept = 1; Array.prototype.map = () => 'mine'")
    assert await value(expressions, "[typeof kept, [1].map(x => x + 1)]") == ["undefined", [2]]
