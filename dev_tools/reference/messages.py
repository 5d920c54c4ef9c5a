"""What travels between bridge and agent, from `agent/wire/messages.py`: kinds, fields, comments."""

import ast
import dataclasses
import inspect
import typing
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from agent.wire import messages
from dev_tools.reference.tables import code, page, table

ABOUT: Final = (
    "Over RabbitMQ these travel as msgpack maps with short keys, in an envelope (`agent/wire/envelope.py`); "
    "over HTTP the agent API says the same in requests and answers. A field is only ever added, with a "
    "default; unknown ones are ignored; meaning never changes."
)
DIRECTIONS: Final = {
    "Down: from the bridge to an agent": messages.Down,
    "Up: from an agent to the bridge": messages.Up,
}


def written() -> str:
    lines = inspect.getsource(messages).splitlines()
    classes = {
        node.name: node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.ClassDef)
    }
    parts = [ABOUT]
    for title, kinds in DIRECTIONS.items():
        parts.append(f"## {title}")
        for kind in typing.get_args(kinds):
            parts += _described(kind, classes[kind.__name__], lines)
    parts.append("## Words")
    parts += _words(messages.Delivery)
    parts += _words(messages.Intake)
    return page("Messages on the wire", *parts)


def _described(kind: type[messages.Message], node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    yield f"### {kind.KIND}"
    said = inspect.cleandoc(ast.get_docstring(node) or "").partition(": ")[2]
    yield said[:1].upper() + said[1:]
    comments = {
        field.target.id: _comment(lines[(field.end_lineno or field.lineno) - 1])
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    types = {
        field.target.id: ast.unparse(field.annotation)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    fields = dataclasses.fields(kind)
    if fields:
        rows = [[code(one.name), code(types[one.name]), _default(one), comments[one.name]] for one in fields]
        yield table(["field", "type", "default", "meaning"], rows)


def _comment(line: str) -> str:
    return line.partition("  # ")[2]


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default.value if isinstance(field.default, StrEnum) else field.default
        return code(repr(value))
    if field.default_factory is not dataclasses.MISSING:
        return code(repr(field.default_factory()))
    return ""


def _words(kind: type[StrEnum]) -> Iterator[str]:
    yield f"`{kind.__name__}`: " + ", ".join(code(repr(one.value)) for one in kind) + "."
