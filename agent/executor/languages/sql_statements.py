"""Reads an SQL script: its statements, the arguments that it declares, and where they stand. Pure.

It is copied into the job's directory and run there by the agent's Python.
"""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# `-- $1 name (type) = default`, `-- ? name (type)`, `-- :name (type)`
_DECLARED = re.compile(
    r"--\s*(?:\$(?P<number>\d+)\s+|\?\s*|:(?=\w))(?P<name>\w+)\s*(?:\((?P<type>.*?)\)\s*)?(?:=\s*(?P<default>.*))?$"
)
_TYPE = re.compile(r"[A-Za-z_][\w ]*(?:\(\d+(?:, *\d+)?\))?[\w ]*(?:\[\])*")
_COMMON = r"""
    (?P<quoted>'(?:''|[^'])*'|"(?:""|[^"])*"|`[^`]*`)
  | (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<end>;)
"""
_TOKENS = {
    "postgresql": r"(?P<body>\$(?P<mark>[A-Za-z_]\w*|)\$.*?\$(?P=mark)\$)|"
    r"(?P<escaped>\b[eE]'(?:\\.|''|[^'\\])*')|" + _COMMON + r"|\$(?P<number>\d+)",
    "mysql": r"(?P<escaped>'(?:\\.|''|[^'\\])*'|\"(?:\\.|\"\"|[^\"\\])*\")|(?P<hash>\#[^\n]*)|"
    + _COMMON
    + r"|\$(?P<number>\d+)\b|(?P<next>\?)|(?<![:\w]):(?P<name>[A-Za-z_]\w*)",
    "sqlite": _COMMON + r"|\$(?P<number>\d+)|(?P<next>\?)|(?<![:\w]):(?P<name>[A-Za-z_]\w*)",
}


class BadScript(Exception):
    """What is wrong with the script or its arguments, and how to mend it."""


@dataclass(frozen=True)
class Parameter:
    """One that the script declares. `type`: empty when it says none."""

    name: str
    type: str = ""
    default: str | None = None

    def value_in(self, args: Mapping[str, Any]) -> Any:
        if self.name in args and (args[self.name] is not None or self.default is None):
            return args[self.name]
        if self.default is None:
            return None
        try:
            return json.loads(self.default)
        except ValueError:  # a text without quotes
            return self.default.strip("'")


@dataclass(frozen=True)
class Statement:
    """Its text in pieces; between two of them stands the parameter at that place of `used`."""

    pieces: tuple[str, ...]
    used: tuple[Parameter, ...]
    line: int  # of its first word

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def declared(script: str) -> list[Parameter]:
    """What the comments at the top declare, in the order of their numbers, or of their lines."""
    numbered: dict[int, Parameter] = {}
    for line in script.splitlines():
        text = line.strip()
        if text and not text.startswith("--"):
            break
        if match := _DECLARED.match(text):
            number = int(match["number"] or len(numbered) + 1)
            if match["type"] and not _TYPE.fullmatch(match["type"].strip()):
                raise BadScript(f"{match['type']!r} is no type; write -- $1 name (type), such as (bigint)")
            default = match["default"]
            kind = (match["type"] or "").strip()
            numbered[number] = Parameter(match["name"], kind, None if default is None else default.strip())
    missing = set(range(1, max(numbered, default=0) + 1)) - numbered.keys()
    if missing:
        raise BadScript(f"the script declares ${max(numbered)} and not ${min(missing)}")
    return [numbered[number] for number in sorted(numbered)]


def statements(script: str, dialect: str) -> list[Statement]:
    """All that say something. Raises `BadScript` for a place that no declaration names."""
    return list(_whole(_cut(script, declared(script), dialect), dialect))


def _cut(script: str, known: Sequence[Parameter], dialect: str) -> Iterable[Statement]:
    tokens = re.compile(_TOKENS[dialect], re.VERBOSE | re.DOTALL)
    pieces: list[str] = [""]
    used: list[Parameter] = []
    begin, at, turn = 0, 0, 0
    for match in tokens.finditer(script):
        pieces[-1] += script[at : match.start()]
        at = match.end()
        found = match.groupdict()
        if found.get("end"):
            yield _statement(pieces, used, script, begin)
            pieces, used, begin, turn = [""], [], at, 0
        elif found.get("number") or found.get("next") or found.get("name"):
            if found.get("next"):
                turn += 1
            used.append(_named(found, known, turn))
            pieces.append("")
        elif found.get("comment") or found.get("hash"):
            pieces[-1] += "\n" * match[0].count("\n") or " "
        else:
            pieces[-1] += match[0]
    pieces[-1] += script[at:]
    yield _statement(pieces, used, script, begin)


def _named(found: Mapping[str, str | None], known: Sequence[Parameter], turn: int) -> Parameter:
    if name := found.get("name"):
        return next((one for one in known if one.name == name), Parameter(name))
    number = int(found.get("number") or turn)
    if not 0 < number <= len(known):
        raise BadScript(f"the script uses argument {number}; declare it at its top: -- ${number} name (type)")
    return known[number - 1]


def _statement(pieces: Sequence[str], used: Sequence[Parameter], script: str, begin: int) -> Statement:
    text = re.sub(r"--[^\n]*", "", script[begin:])
    blank = len(text) - len(text.lstrip())
    lines = script[:begin].count("\n") + text[:blank].count("\n")
    return Statement(tuple(pieces), tuple(used), lines + 1)


def _whole(cut: Iterable[Statement], dialect: str) -> Iterable[Statement]:
    """SQLite's triggers have semicolons within: what is not complete goes on."""
    held: Statement | None = None
    for one in cut:
        joined = one if held is None else _joined(held, one)
        held = None
        if not joined.text.strip():
            continue
        if dialect == "sqlite" and not sqlite3.complete_statement("?".join(joined.pieces) + ";"):
            held = joined
        else:
            yield joined
    if held is not None:
        yield held


def _joined(one: Statement, other: Statement) -> Statement:
    middle = f"{one.pieces[-1]};{other.pieces[0]}"
    return Statement((*one.pieces[:-1], middle, *other.pieces[1:]), (*one.used, *other.used), one.line)
