"""The lines of agent's and bridge's own log: each event's name, level, fields, and where it is said."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dev_tools.reference.source import Module, modules, text_of
from dev_tools.reference.tables import code, codes, page, table

LEVELS: Final = ("debug", "info", "warning", "error", "critical", "exception")

ABOUT: Final = (
    "One line each on stderr: `key=value` on a terminal, JSON elsewhere, where `event` is the name below and "
    "`level` its level. Each has a `timestamp` too. No secret is ever in one."
)


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    level: str
    fields: tuple[str, ...]
    said_in: str  # a path from the root of the checkout


def found() -> list[Event]:
    events = {event for module in modules() for event in _said_by(module)}
    return sorted(events, key=lambda one: (one.said_in.partition("/")[0], one.name, one.said_in, one.fields))


def _said_by(module: Module) -> set[Event]:
    """What a literal names counts; the rest of the module's names go to calls that name them elsewhere."""
    said = list(_calls(module))
    literal = {event.name for event, is_literal in said if is_literal}
    return {event for event, is_literal in said if is_literal or event.name not in literal}


def _calls(module: Module) -> Iterator[tuple[Event, bool]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[named, *_]):
                if level in LEVELS:
                    fields = tuple(one.arg for one in node.keywords if one.arg is not None)
                    literal = list(_names(named))
                    for name in literal or sorted(_dotted(module)):
                        yield Event(name, level, fields, str(module.path)), bool(literal)


def _names(named: ast.expr) -> Iterator[str]:
    """Of a literal, or of either side of a choice."""
    if (text := text_of(named)) is not None:
        yield text
    elif isinstance(named, ast.IfExp):
        yield from _names(named.body)
        yield from _names(named.orelse)


def _dotted(module: Module) -> set[str]:
    """Texts of the form `link.retry` in dicts and calls of a module that names its events elsewhere."""
    texts: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Dict):
            texts |= {text for one in node.values if (text := text_of(one))}
        elif isinstance(node, ast.Call):
            texts |= {text for one in node.args if (text := text_of(one))}
    return {text for text in texts if _is_event(text)}


def _is_event(text: str) -> bool:
    room, dot, what = text.partition(".")
    return bool(dot) and room.isidentifier() and what.isidentifier() and text.islower()


def written() -> str:
    parts = [ABOUT]
    events = found()
    for title, package in (("Agent", "agent"), ("Bridge, relay and worker", "bridge")):
        rows = [
            [code(one.name), one.level, codes(one.fields), code(one.said_in)]
            for one in events
            if one.said_in.startswith(f"{package}/")
        ]
        parts += [f"## {title}", table(["event", "level", "fields", "said in"], rows)]
    return page("Log events", *parts)
