"""Copies what can still be read out of a damaged database. What is lost the bridge finds (`check`)."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROWID_MAX: Final = 2**62
ROWID_TABLES: Final = ("held", "log_chunk", "quarantine", "script_state")
KEYED_TABLES: Final = ("meta", "seen")  # WITHOUT ROWID


def salvage(connection: sqlite3.Connection, damaged: Path) -> int:
    """Copy every readable row, without holding them all in memory. How many were."""
    try:
        old = sqlite3.connect(f"file:{damaged}?mode=rw", uri=True)
    except sqlite3.Error:
        return 0
    old.text_factory = lambda text: text.decode(errors="replace")  # a rotten key fits no body, and is found
    carried = 0
    with contextlib.closing(old):
        for table in ROWID_TABLES:
            carried += sum(_insert(connection, table, row) for row in _by_rowid(old, table))
        for table in KEYED_TABLES:
            carried += sum(_insert(connection, table, row) for row in _from_both_ends(old, table))
    return carried


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> bool:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    with contextlib.suppress(sqlite3.IntegrityError, sqlite3.ProgrammingError):
        statement = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 our own names
        return connection.execute(statement, tuple(row.values())).rowcount > 0
    return False


def _by_rowid(old: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """In the table's own order; a torn page is stepped over in growing strides."""
    last, stride = -1, 1
    while last < ROWID_MAX:
        try:
            statement = f"SELECT rowid AS salvaged, * FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 our own names
            for row in _named(old.execute(statement, (last,))):
                last, stride = row.pop("salvaged"), 1
                yield row
        except sqlite3.DatabaseError:
            last, stride = last + stride, stride * 2
        else:
            return


def _from_both_ends(old: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    """What lies behind a torn page is reached from the other side."""
    for order in ("ASC", "DESC"):
        try:
            yield from _named(old.execute(f"SELECT * FROM {table} ORDER BY 1 {order}"))  # noqa: S608 our own names
        except sqlite3.DatabaseError:
            continue
        else:
            return


def _named(cursor: sqlite3.Cursor) -> Iterator[dict[str, Any]]:
    """Rows with their columns' names: an older schema has fewer."""
    names = [column[0] for column in cursor.description]
    for values in cursor:
        yield dict(zip(names, values, strict=True))
