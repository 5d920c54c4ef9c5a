"""Mends files at start; never decides what a row means (that is `jobs/reconciler.py`)."""

import contextlib
import errno
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from agent.database import Database, TooNew
from agent.errors import SpoolUnusable
from agent.spool.folder import PROBE_BYTES, Folder, why_unusable

log = structlog.get_logger()

# SQLite's primary result codes that say nothing of the file's content.
REFUSALS: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}


async def open_database(folder: Folder, migrations: Sequence[str]) -> Database:
    """Open the spool's database; a destroyed one is set aside whole and what can be read is carried over.

    What was lost the bridge finds: it asks a restarted agent for every job it should hold (`check`).
    Raises `SpoolUnusable` when a newer release wrote it, or the disk refuses: what it holds is whole then.
    """
    try:
        database = await Database.open(folder.database, migrations)
        await database.read(_touch_every_page)
    except TooNew as error:
        raise SpoolUnusable(f"the spool is not for this release: {error}") from error
    except sqlite3.DatabaseError as error:
        with contextlib.suppress(UnboundLocalError):
            await database.close()
        if (refusal := _refusal(folder, error)) is not None:
            raise SpoolUnusable(why_unusable(folder.path, refusal)) from error
        aside = _set_aside(folder)
        log.error("spool.damaged", error=str(error), set_aside=str(aside))
        database = await Database.open(folder.database, migrations)
        salvaged = await database.write(lambda connection: _salvage(connection, aside / folder.database.name))
        log.warning("spool.salvaged", rows=salvaged)
    return database


def _refusal(folder: Folder, error: sqlite3.DatabaseError) -> OSError | None:
    """What the disk said, when it is the disk that refuses and not the file that is damaged (I3)."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return None  # the file ends too early
    number = REFUSALS.get(code & 0xFF)
    if number == errno.EIO and folder.free_bytes() < PROBE_BYTES:
        number = errno.ENOSPC  # SQLite calls a shared-memory file that does not fit an I/O error
    return None if number is None else OSError(number, str(error))


def _touch_every_page(connection: sqlite3.Connection) -> None:
    """Read the tables that custody stands on, so that damage shows at start and not in mid-job."""
    for table in ("held", "log_chunk", "seen", "meta"):
        for _ in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 our own four names
            pass


def _set_aside(folder: Folder) -> Path:
    aside = (
        folder.path
        / f"spool.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**6}"
    )
    aside.mkdir()
    for suffix in ("", "-wal", "-shm"):
        part = folder.database.with_name(folder.database.name + suffix)
        if part.exists():
            part.replace(aside / part.name)
    return aside


def _salvage(connection: sqlite3.Connection, damaged: Path) -> int:
    """Copy every readable row; a row that cannot be read ends its table, not the start."""
    carried = 0
    try:
        old = sqlite3.connect(f"file:{damaged}?mode=rw", uri=True)
    except sqlite3.Error:
        return 0
    with contextlib.closing(old):
        for table in ("meta", "held", "seen", "log_chunk", "quarantine"):
            for row in _readable(old, table):
                marks = ", ".join("?" * len(row))
                with contextlib.suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
                    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608 our own names
                    carried += 1
    return carried


def _readable(old: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Rows from both ends: what lies behind a torn page is reached from the other side."""
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for order in ("ASC", "DESC"):
        with contextlib.suppress(sqlite3.DatabaseError):
            for row in old.execute(f"SELECT * FROM {table} ORDER BY 1 {order}"):  # noqa: S608 our own names
                rows[row[:2]] = row
    return list(rows.values())
