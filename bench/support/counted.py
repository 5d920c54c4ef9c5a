"""A bridge whose statements are counted where they meet the database, for a bench to read from outside.

    python -m bench.support.counted COUNTERS serve     as `python -m bridge serve`

COUNTERS is a file of two 64-bit numbers, shared by mapping it: the statements that the database was given so
far (each row of an `executemany` is one), and the transactions. Looking costs the bridge nothing.
"""

import mmap
import struct
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psycopg

from agent import database
from bridge.__main__ import main

LAYOUT: Final = struct.Struct("=QQ")
NO_WORK: Final = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "SELECT pg_current_xact_id")


class Counters:
    """Written by one process, read by another."""

    def __init__(self, path: Path) -> None:
        """Makes the file when it is not there."""
        if not path.exists():
            path.write_bytes(bytes(LAYOUT.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), LAYOUT.size)
        self._lock = threading.Lock()  # the store's reader and its writer count side by side

    def read(self) -> tuple[int, int]:
        statements, commits = LAYOUT.unpack_from(self._shared)
        return statements, commits

    def note(self, statement: str) -> None:
        if statement.startswith(NO_WORK):
            return
        is_commit = statement.startswith("COMMIT")
        with self._lock:
            statements, commits = self.read()
            LAYOUT.pack_into(self._shared, 0, statements + (not is_commit), commits + is_commit)


def count_sqlite(counters: Counters) -> None:
    """Every connection that the store opens from now on tells of what it runs."""
    connect = database._connect  # noqa: SLF001 to count from outside costs the product nothing

    def traced(path: Path, mode: str = "rwc") -> database.sqlite3.Connection:
        connection = connect(path, mode)
        connection.set_trace_callback(counters.note)
        return connection

    database._connect = traced  # noqa: SLF001 see above


def count_postgresql(counters: Counters) -> None:
    """Also what the store says itself: the locks, and what becomes of a commit."""
    execute, executemany = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def counted(cursor: Any, query: Any, *about: Any, **more: Any) -> Any:
        counters.note(str(query).lstrip())
        return execute(cursor, query, *about, **more)

    def all_counted(cursor: Any, query: Any, rows: Iterable[Any], **more: Any) -> Any:
        rows = list(rows)
        for _ in rows:
            counters.note(str(query).lstrip())
        return executemany(cursor, query, rows, **more)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign] # a count from outside
    psycopg.Cursor.executemany = all_counted  # type: ignore[method-assign] # a count from outside


if __name__ == "__main__":
    counters = Counters(Path(sys.argv.pop(1)))
    count_sqlite(counters)
    count_postgresql(counters)
    sys.exit(main(sys.argv[1:]))
