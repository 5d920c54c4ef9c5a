"""What a script's arguments are: from its schema, else from its `main` or its `name="$1"` lines. Pure."""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

KINDS: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
BASH: Final = re.compile(
    r"""^[ \t]*(?:(?:local|export|readonly|declare)[ \t]+)?(?P<name>\w+)="\$
        (?:(?P<plain>\d{1,3})|\{(?P<braced>\d{1,3})(?::-(?P<default>[^}]*))?\})" """,
    re.MULTILINE | re.VERBOSE,
)
FIELDS_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`default`: JSON text; None: there is none. `kind`: as in a JSON schema, or `json`: it does not say."""

    name: str
    kind: str = "json"
    is_required: bool = True
    default: str | None = None
    choices: tuple[str, ...] = ()
    description: str = ""

    @property
    def shown(self) -> str:
        """The default as it stands in the form."""
        if self.default is None:
            return ""
        value = json.loads(self.default)
        return value if isinstance(value, str) and self.kind != "json" else self.default


def fields_of(language: str, code: str, schema: object) -> list[Field] | None:
    """In their order; None: it cannot be told, so the arguments are one JSON object."""
    if isinstance(schema, Mapping) and isinstance(schema.get("properties"), Mapping):
        found = list(_of_schema(schema))
    elif language == "python3":
        with suppress(SyntaxError, ValueError, RecursionError):
            return _of_python(code)
        return None
    elif language == "bash":
        found = _of_bash(code)
    else:
        return None
    return found[:FIELDS_MAX]


def arguments(fields: Sequence[Field], sent: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What was typed as values; and, by field, what is wrong with it. Empty ones are left out."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for field in fields:
        text = sent.get(field.name, "")
        if not text.strip():
            if field.is_required:
                wrong[field.name] = "is needed"
            continue
        try:
            values[field.name] = _value(field, text)
        except ValueError as error:
            wrong[field.name] = str(error)
    return values, wrong


def _value(field: Field, text: str) -> Any:
    if field.kind == "string":
        if field.choices and text not in field.choices:
            raise ValueError(f"must be one of {', '.join(field.choices)}")
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if field.kind == "json":
            return text  # of an argument that says nothing of its type: what is no JSON is a text
        raise ValueError(_needs(field.kind)) from None
    kind = _kind_of(value)
    fits = field.kind in ("json", kind) or (field.kind, kind) == ("number", "integer")
    if not fits:
        raise ValueError(_needs(field.kind))
    return value


def _needs(kind: str) -> str:
    said = {"integer": "a whole number", "number": "a number", "boolean": "true or false",
            "array": "a JSON list", "object": "a JSON object"}  # fmt: skip
    return f"must be {said.get(kind, kind)}"


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    named = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return next((name for kind, name in named.items() if isinstance(value, kind)), "null")


def _of_schema(schema: Mapping[str, Any]) -> Iterator[Field]:
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    order = schema.get("order")
    names = list(schema["properties"])
    if isinstance(order, list):
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    for name in names:
        about = schema["properties"][name]
        about = about if isinstance(about, Mapping) else {}
        kind = about.get("type")
        choices = about.get("enum")
        is_listed = isinstance(choices, list) and all(isinstance(one, str) for one in choices)
        default = about.get("default")
        yield Field(
            name=str(name),
            kind=str(kind) if kind in KINDS.values() else "json",
            is_required=name in required and default is None,
            default=None if default is None else json.dumps(default),
            choices=tuple(choices or ()) if is_listed else (),
            description=str(about.get("description") or ""),
        )


def _of_python(code: str) -> list[Field] | None:
    main = next(
        (
            node
            for node in ast.parse(code).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "main"
        ),
        None,
    )
    if main is None:
        return None
    given = [*main.args.posonlyargs, *main.args.args]
    without = len(given) - len(main.args.defaults)
    pairs: list[tuple[ast.arg, ast.expr | None]] = [
        (one, None if place < without else main.args.defaults[place - without])
        for place, one in enumerate(given)
    ]
    pairs += zip(main.args.kwonlyargs, main.args.kw_defaults, strict=True)
    return [_python_field(one, default) for one, default in pairs]


def _python_field(one: ast.arg, default: ast.expr | None) -> Field:
    kind, choices = _annotated(one.annotation)
    value, is_known = None, False
    if default is not None:
        with suppress(ValueError, TypeError):
            value, is_known = ast.literal_eval(default), True
    text = None
    if is_known and value is not None:
        with suppress(TypeError, ValueError):
            text = json.dumps(value)
            kind = _kind_of(value) if kind == "json" else kind
    return Field(name=one.arg, kind=kind, is_required=default is None, default=text, choices=choices)


def _annotated(annotation: ast.expr | None) -> tuple[str, tuple[str, ...]]:
    match annotation:
        case ast.Name(id=name):
            return KINDS.get(name, "json"), ()
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):  # str | None
            return _annotated(left)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _annotated(inner)
        case ast.Subscript(value=ast.Name(id=name)) if name in KINDS:  # list[str]
            return KINDS[name], ()
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            listed = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            texts = [
                one.value for one in listed if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            return ("string", tuple(texts)) if len(texts) == len(listed) else ("json", ())
    return "json", ()


def _of_bash(code: str) -> list[Field]:
    found: dict[int, Field] = {}
    for match in BASH.finditer(code):
        number, default = int(match["plain"] or match["braced"]), match["default"]
        has_default = match["braced"] is not None and default is not None
        found.setdefault(
            number,
            Field(
                name=match["name"],
                kind="string",
                is_required=not has_default,
                default=json.dumps(default) if default else None,
            ),
        )
    return [found[number] for number in sorted(found)]
