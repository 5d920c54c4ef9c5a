"""The named statements of a `.sql` file, for both dialects.

They are written in what SQLite and PostgreSQL share; where that is not enough, a second statement,
`-- name: x for postgresql`, stands right below the first.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

HEADING: Final = re.compile(r"^-- name: (\w+)( for postgresql)?\n", re.MULTILINE)
ROW_LOCK: Final = re.compile(r"\s+FOR UPDATE( OF \w+)? SKIP LOCKED")  # SQLite's one writer needs none
OF_JSON: Final = re.compile(r"json_each\((:\w+)\)")  # PostgreSQL wants to be told that a text is JSON
TOKEN: Final = re.compile(r"(?P<text>'(?:[^']|'')*')|(?P<comment>--[^\n]*)|::|:(?P<name>[a-z]\w*)|%")


class Statement(str):
    """A statement in the words of SQLite; `postgresql` has the same one in PostgreSQL's."""

    __slots__ = ("postgresql",)
    postgresql: str

    def __new__(cls, sqlite: str, postgresql: str) -> Self:
        made = super().__new__(cls, sqlite)
        made.postgresql = postgresql
        return made


def queries(path: Path) -> Mapping[str, Statement]:
    """The statements of the file, by their names."""
    parts = HEADING.split(path.read_text())
    named: dict[str, Statement] = {}
    for name, differs, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        ours = named[name] if differs else ROW_LOCK.sub("", text).strip()
        named[name] = Statement(ours, for_psycopg(text))
    return named


def for_psycopg(text: str) -> str:
    """With psycopg's placeholders and without comments."""
    return TOKEN.sub(_in_psycopg, OF_JSON.sub(r"json_each(\1::json)", text)).strip()


def _in_psycopg(found: re.Match[str]) -> str:
    if found["comment"] is not None:
        return ""
    if found["name"] is not None:
        return f"%({found['name']})s"
    return found[0].replace("%", "%%")
