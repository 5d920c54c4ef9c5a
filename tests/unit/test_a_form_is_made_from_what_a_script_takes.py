"""A script's arguments as fields: from its schema, its `main`, or its bash lines; and back as values."""

import pytest

from bridge.runs.signature import Field, arguments, fields_of

PYTHON = """
import wmill
from typing import Literal, Optional

def helper(x): ...

def main(shop, count: int, price: float = 1.5, tags: list[str] = ["a"], kind: Literal["in", "out"] = "in",
         note: str | None = None, more: Optional[dict] = None, *, dry_run: bool = False, when=now(),
         odd=2): ...
"""


def test_a_python_main() -> None:
    found = fields_of("python3", PYTHON, None)
    assert found == [
        Field(name="shop"),
        Field(name="count", kind="integer"),
        Field(name="price", kind="number", is_required=False, default="1.5"),
        Field(name="tags", kind="array", is_required=False, default='["a"]'),
        Field(name="kind", kind="string", is_required=False, default='"in"', choices=("in", "out")),
        Field(name="note", kind="string", is_required=False),
        Field(name="more", kind="object", is_required=False),
        Field(name="dry_run", kind="boolean", is_required=False, default="false"),
        Field(name="when", is_required=False),
        Field(name="odd", kind="integer", is_required=False, default="2"),
    ]
    assert [field.shown for field in found][2:5] == ["1.5", '["a"]', "in"]


@pytest.mark.parametrize("code", ["x = 1", "def main(:", "\0"])
def test_python_without_a_main_takes_one_object(code: str) -> None:
    assert fields_of("python3", code, None) is None


def test_bash_lines() -> None:
    code = 'shop="$1"\nlocal day="${2:-monday}"\nnote="${3:-}"\nshop="$1"\n# a="$9\n'
    assert fields_of("bash", code, None) == [
        Field(name="shop", kind="string"),
        Field(name="day", kind="string", is_required=False, default='"monday"'),
        Field(name="note", kind="string", is_required=False),
    ]
    assert fields_of("bash", "echo", None) == []
    assert fields_of("deno", "export function main(a) {}", None) is None


def test_a_schema_wins() -> None:
    schema = {
        "properties": {
            "b": {"type": "integer", "default": 3, "description": "how many"},
            "a": {"type": "string", "enum": ["x", "y"]},
            "c": {"type": ["string", "null"]},
            "d": True,
        },
        "required": ["a", "b"],
        "order": ["a", "b"],
    }
    assert fields_of("python3", "def main(z): ...", schema) == [
        Field(name="a", kind="string", choices=("x", "y")),
        Field(name="b", kind="integer", is_required=False, default="3", description="how many"),
        Field(name="c", is_required=False),
        Field(name="d", is_required=False),
    ]


FIELDS = [
    Field(name="text", kind="string"),
    Field(name="count", kind="integer", is_required=False),
    Field(name="price", kind="number", is_required=False),
    Field(name="loud", kind="boolean", is_required=False),
    Field(name="list", kind="array", is_required=False),
    Field(name="map", kind="object", is_required=False),
    Field(name="any", is_required=False),
    Field(name="pick", kind="string", is_required=False, choices=("x",)),
]


def test_what_was_typed_becomes_values() -> None:
    sent = {
        "text": "  7 ", "count": "7", "price": "2", "loud": "true", "list": "[1]", "map": '{"a": null}',
        "any": "no json", "pick": "x",
    }  # fmt: skip
    values, wrong = arguments(FIELDS, sent)
    assert wrong == {}
    assert values == {
        "text": "  7 ", "count": 7, "price": 2, "loud": True, "list": [1], "map": {"a": None},
        "any": "no json",
        "pick": "x",
    }  # fmt: skip
    assert arguments(FIELDS, {"text": "x", "count": " ", "any": "null"}) == ({"text": "x", "any": None}, {})


def test_what_is_wrong_is_said_of_each() -> None:
    sent = {
        "count": "1.5", "price": "true", "loud": "maybe", "list": "{}", "map": "[1", "pick": "z",
    }  # fmt: skip
    assert arguments(FIELDS, sent) == (
        {},
        {
            "text": "is needed",
            "count": "must be a whole number",
            "price": "must be a number",
            "loud": "must be true or false",
            "list": "must be a JSON list",
            "map": "must be a JSON object",
            "pick": "must be one of x",
        },
    )
