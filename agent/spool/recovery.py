"""Mends files at start; never decides what a row means (that is `jobs/reconciler.py`)."""

import contextlib
import errno
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from agent.database import Damaged, Database, TooNew, WriteFailed, is_damage
from agent.errors import SpoolUnusable
from agent.spool.blobs import fsync_dir
from agent.spool.folder import Folder
from agent.spool.refusal import why_unusable
from agent.spool.salvage import salvage

log = structlog.get_logger()

UNFINISHED: Final = "spool.setting-aside"  # holds a database whose rows have not been carried over yet

# SQLite's primary result codes that say nothing of the file's content.
REFUSALS: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}


async def open_database(folder: Folder, migrations: Sequence[str], *, damaged: bool) -> Database:
    """Open the spool's database; a destroyed one is set aside whole and what can be read is carried over.

    A start does not read everything: what a first look does not show is met when it is read, and comes back
    here as `damaged`. What was lost the bridge finds: it asks a restarted agent for every job it should hold
    (`check`). Raises `SpoolUnusable` when a newer release wrote it, or the disk refuses: what it holds is
    whole then.
    """
    if (folder.path / UNFINISHED).exists():
        return await _replaced(folder, migrations, "an earlier start was cut off while it carried rows over")
    if damaged:
        return await _replaced(folder, migrations, "found while it was used")
    try:
        database = await Database.open(folder.database, migrations)
        await database.read(_look)
    except TooNew as error:
        raise SpoolUnusable(f"the spool is not for this release: {error}") from error
    except (sqlite3.DatabaseError, Damaged) as error:
        with contextlib.suppress(UnboundLocalError):
            await database.close()
        if isinstance(error, sqlite3.Error) and (refusal := _refusal(folder, error)) is not None:
            raise SpoolUnusable(why_unusable(folder.path, refusal)) from error
        return await _replaced(folder, migrations, str(error))
    return database


async def _replaced(folder: Folder, migrations: Sequence[str], why: str) -> Database:
    """A new database with what can be read of the old one. Raises `SpoolUnusable`; then all is as it was.

    Whenever it is cut off, the next start finds the folder `UNFINISHED` and goes on (I3).
    """
    aside = folder.path / UNFINISHED
    kept_as = aside.with_name(
        f"spool.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**6}"
    )
    log.error("spool.set_aside", error=why, to=str(kept_as))
    _set_aside(folder, aside)
    try:
        database = await _carried_over(folder, migrations, aside)
    except (sqlite3.Error, WriteFailed) as error:
        _put_back(folder, aside)  # no room for a second one: what was salvaged so far is worth less
        raise SpoolUnusable(why_unusable(folder.path, OSError(errno.ENOSPC, str(error)))) from error
    aside.replace(kept_as)
    fsync_dir(folder.path)
    return database


async def _carried_over(folder: Folder, migrations: Sequence[str], aside: Path) -> Database:
    database = await Database.open(folder.database, migrations)
    try:
        rows = await database.write(lambda connection: salvage(connection, aside / folder.database.name))
    except WriteFailed:
        await database.close()
        raise
    log.warning("spool.salvaged", rows=rows)
    return database


def _refusal(folder: Folder, error: sqlite3.DatabaseError) -> OSError | None:
    """What the disk said, when it is the disk that refuses and not the file that is damaged (I3)."""
    code = 0 if is_damage(error) else getattr(error, "sqlite_errorcode", 0)
    number = REFUSALS.get(code & 0xFF)
    if number is None:
        return None
    return folder.fault() or OSError(number, str(error))  # to SQLite a full disk may be an I/O error


def _look(connection: sqlite3.Connection) -> None:
    """The schema and both ends of each table: a bounded look, however much is held."""
    for table in ("held", "log_chunk", "seen", "meta", "quarantine", "script_state"):
        for order in ("ASC", "DESC"):
            connection.execute(f"SELECT * FROM {table} ORDER BY 1 {order} LIMIT 1").fetchone()  # noqa: S608 our own names


def _set_aside(folder: Folder, aside: Path) -> None:
    """The file goes last: as long as it is outside, all that is outside is the old one's."""
    aside.mkdir(exist_ok=True)
    fsync_dir(folder.path)
    database, *beside = _parts(folder)
    if (aside / database.name).exists():
        _remove(folder)
    else:
        _move(beside, aside)
        _move([database], aside)


def _put_back(folder: Folder, aside: Path) -> None:
    """The file goes first, for the same reason."""
    _remove(folder)
    database, *beside = [aside / part.name for part in _parts(folder)]
    _move([database], folder.path)
    _move(beside, folder.path)
    aside.rmdir()


def _remove(folder: Folder) -> None:
    """A new database that was not finished."""
    for part in _parts(folder):
        part.unlink(missing_ok=True)
    fsync_dir(folder.path)


def _move(parts: Sequence[Path], to: Path) -> None:
    for part in parts:
        if part.exists():
            part.replace(to / part.name)
    fsync_dir(to)
    fsync_dir(parts[0].parent)


def _parts(folder: Folder) -> list[Path]:
    """The files that make up the database, itself first."""
    return [folder.database.with_name(folder.database.name + suffix) for suffix in ("", "-wal", "-shm")]
