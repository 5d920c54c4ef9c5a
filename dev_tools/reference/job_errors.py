"""The names of errors that jobs end with, wherever agent and bridge give them."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from dev_tools.reference.meanings import ERRORS
from dev_tools.reference.source import Module, modules, text_of
from dev_tools.reference.tables import code, codes, page, table

NAME: Final = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")
# Functions that end a job with a name among their arguments.
ENDINGS: Final = (
    "JobFailed", "error_object", "error_ref", "_fail", "_end", "_end_unrun", "_again_or_end", "_error",
    "Interruption",
)  # fmt: skip

ABOUT: Final = (
    "A failed job's result is an object `error` with `name`, `message` and, where they are known, "
    "`exit_code`, `stack`, `step_id`. These names are ours; what a python3 or JavaScript script raises keeps "
    "the name of its exception. `message` says what to do."
)


def found() -> dict[str, list[str]]:
    """Name → the files that give it, from the root of the checkout."""
    given: dict[str, set[str]] = {}
    for module in modules():
        for name in _given_by(module):
            given.setdefault(name, set()).add(str(module.path))
    return {name: sorted(given[name]) for name in sorted(given)}


def _given_by(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        for text in filter(None, map(text_of, _places(node))):
            if NAME.fullmatch(text):
                yield text


def _places(node: ast.AST) -> Iterator[ast.expr]:
    """Where a name of an error can stand."""
    match node:
        case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function), args=args):
            if function in ENDINGS:
                yield from args
        case ast.FunctionDef(name=function, args=ast.arguments(defaults=defaults)):
            if function in ENDINGS:
                yield from defaults
        case ast.Yield(value=ast.Tuple(elts=[name, *_])):  # the watch: a limit's name, what is used, …
            yield name
        case ast.Dict(keys=keys, values=values):
            told = {text_of(key): value for key, value in zip(keys, values, strict=True)}
            if {"name", "message"} <= told.keys():
                yield told["name"]


def written() -> str:
    """The page. Raises KeyError for a name that nobody has said the meaning of."""
    rows = [[code(name), ERRORS[name], codes(places)] for name, places in found().items()]
    return page(
        "Errors that jobs end with",
        ABOUT,
        table(["name", "what it means", "given in"], rows),
    )
