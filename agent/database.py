"""One SQLite file, one writer thread with group commit: the durable record of each side.

What we assume of the disk: a completed fsync survives a power cut, and a page is written whole or
its checksum in the WAL does not match. What we give: when `write` returns, its effect is on disk (I3).
"""

import asyncio
import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Final, Self, TypeVar

from agent.figures import FIGURES
from agent.grouped import Write, Writer
from agent.progress import tracked
from agent.reading import used_bytes_of

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

GIVE_BACK_PAGES: Final = 512  # at most so many at once; fewer are kept for what comes next
MARK: Final = 0x4F520000  # "OR": the header holds the schema's number twice, so one flipped bit is no version
MENDS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "the disk is read-only; mount it writable",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; is its folder still there?",
    sqlite3.SQLITE_IOERR: "the disk answers with an error; check its health",
    sqlite3.SQLITE_PERM: "the file may not be written; give this user the folder",
    sqlite3.SQLITE_BUSY: "another process holds the file; stop that one",
}  # by SQLite's primary result code: what says nothing of the file's content


class DatabaseError(Exception):
    """DatabaseError: WriteFailed(ReadFailed) · Damaged · TooNew"""


class WriteFailed(DatabaseError):
    """The disk refused a commit (full, read-only, I/O error). Nothing of that group was kept."""


class ReadFailed(WriteFailed):
    """The disk refused to read. To a caller it is the same: nothing has changed, it is asked again later."""


class Damaged(DatabaseError):
    """What the file holds makes no sense any more, it must be replaced. Of that group nothing was kept."""


class TooNew(DatabaseError):
    """The file was written by a newer release than this one."""


class Database:
    """Open with `await Database.open(path, migrations)`; close with `await close()`."""

    used_bytes = 0  # of its pages; those that deleted rows have left free are not counted
    failing = False  # the last commit was refused
    may_use: Callable[[], bool] = staticmethod(lambda: True)  # False: the file is somebody else's now

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._writer = Writer(f"write {path.name}", loop, self._commit, self._close_writer)
        self._write_connection: sqlite3.Connection | None = None  # the writer's, unless that has failed
        self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"read {path.name}")
        self._read_connection: sqlite3.Connection | None = None
        self._closed = False
        self._file = _file_at(path)  # the one that the writer has open
        self._read_file: tuple[int, int] | None = None  # the reader's, unless that has failed

    @property
    def path(self) -> Path:
        return self._path

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[str]) -> Self:
        """Open or create `path` and bring it to the newest schema.

        Raises `sqlite3.Error` (damaged, not writable) and `TooNew`.
        """
        await asyncio.to_thread(_migrate, path, migrations)
        database = cls(path, asyncio.get_running_loop())
        database._writer.start()
        return database

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer's transaction; on return it is committed and fsynced.

        Raises whatever `work` raises (then nothing of it is kept), `WriteFailed` and `Damaged`.
        """
        if self._closed:
            raise WriteFailed(f"{self._path.name} is closed")
        written: T = await self._writer.write(work)
        return written

    async def read(self, work: Work[T]) -> T:
        """Run `work` on what is committed. It never waits for an fsync.

        Raises `ReadFailed` when the disk refuses, and `Damaged`.
        """
        return await self._loop.run_in_executor(self._readers, self._read, work)

    async def answers(self) -> None:
        """Returns when the writer has had its turn. A disk that refuses is an answer, one that hangs is none.

        Nothing changes, so nothing is fsynced. Raises `Damaged`.
        """
        with contextlib.suppress(WriteFailed):
            await self.write(lambda _connection: None)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        await self._loop.run_in_executor(self._readers, self._close_reader)
        self._readers.shutdown()

    def is_there(self) -> bool:
        """Whether the open file is the one that its path names: a deleted file can be written for ever."""
        try:
            return _file_at(self._path) == self._file
        except OSError:
            return False

    def _read(self, work: Work[T]) -> T:
        try:
            connection = self._reader()
            with connection:  # one moment, however many statements: a statement alone ends with its last row
                connection.execute("BEGIN")
                return work(connection)
        except sqlite3.Error as error:
            if self._damages(error):
                raise Damaged(f"{self._path.name}: {error}") from error
            if _mend(error) is None and not self.failing:
                raise
            self._read_file = None  # on a disk that fails, a whole file can look damaged: it is read afresh
            mend = _mend(error) or "the disk fails"
            raise ReadFailed(f"cannot read {self._path}: {error}: {mend}.") from error

    def _reader(self) -> sqlite3.Connection:
        """A connection to the file that the writer has open.

        A new one is opened before the old one is closed. When none stands, SQLite reads its log again, and
        there a commit whose fsync failed may be whole; but its caller was told that nothing of it is kept.
        """
        if self._read_connection is None or self._read_file != self._file:
            fresh, file = _connect(self._path, mode="rw"), self._file
            self._close_reader()
            self._read_connection, self._read_file = fresh, file
        return self._read_connection

    def _close_reader(self) -> None:
        if self._read_connection is not None:
            _close(self._read_connection)
            self._read_connection = None

    def _commit(self, group: list[Write]) -> None:
        """Commit `group` with one fsync. After a failure the connection is dropped, never fsynced again.

        The next group opens the file again, and fails by itself where that cannot be.
        """
        connection = self._write_connection
        try:
            if connection is None:
                connection = self._write_connection = self._reopened()
            connection.execute("BEGIN IMMEDIATE")
            for item in group:
                _apply(connection, item)
            self.used_bytes = used_bytes_of(connection)
            began_s = perf_counter()
            connection.execute("COMMIT")
            FIGURES.commits.note(perf_counter() - began_s)
            self._must_be_there()
        except Exception as error:  # noqa: BLE001 a bug too belongs to the callers: they would wait for ever
            refusal = self._refusal(error) if isinstance(error, sqlite3.Error | OSError) else error
            self.failing = isinstance(refusal, WriteFailed)
            for item in group:
                item.error = refusal
            self._close_writer()
        else:
            self.failing = False

    def _close_writer(self) -> None:
        if self._write_connection is not None:
            _close(self._write_connection)
            self._write_connection = None

    def _must_be_there(self) -> None:
        """I3: what is committed to a file that nobody will ever find is not kept. Raises `sqlite3.Error`."""
        if not (self.may_use() and self.is_there()):
            raise sqlite3.OperationalError("it was deleted, or another file is in its place")

    def _reopened(self) -> sqlite3.Connection:
        """The file that is there now. Never makes a new one: that would hold nothing and look well."""
        if not self.may_use():
            raise OSError(errno.ENOENT, "its folder was deleted, or another one is in its place")
        connection = _connect(self._path, mode="rw")
        self._file = _file_at(self._path)
        return connection

    def _damages(self, error: Exception) -> bool:
        """Whether the content is wrong and the disk well: on one that fails a whole file can look so too."""
        return (
            isinstance(error, sqlite3.Error)
            and is_damage(error)
            and not self.failing
            and _takes_writes(self._path.with_name(f"{self._path.name}.probe"))
        )

    def _refusal(self, error: Exception) -> DatabaseError:
        if self._damages(error):
            return Damaged(f"{self._path.name}: {error}")
        mend = _mend(error) or "check the health of the disk"
        return WriteFailed(f"cannot write {self._path}: {error}: {mend}. Nothing was confirmed.")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file's content that is wrong, and not the disk that refuses."""
    code = getattr(error, "sqlite_errorcode", 0)
    return (
        code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or code == sqlite3.SQLITE_IOERR_SHORT_READ  # the file ends too early
        or "decode to UTF-8" in str(error)  # Python's own, without a code
    )


def _apply(connection: sqlite3.Connection, item: Write) -> None:
    connection.execute("SAVEPOINT item")
    try:
        item.result = item.work(connection)
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
        if not isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise  # the disk, not the caller: the whole group fails
        item.error = error
    except Exception as error:  # noqa: BLE001 the caller's own error travels back to the caller
        item.error = error
    if item.error is not None:
        connection.execute("ROLLBACK TO item")
    connection.execute("RELEASE item")


def open_alone(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """For a tool that holds the lock: no thread, no group. Raises `sqlite3.Error`, `TooNew`."""
    _migrate(path, migrations)
    return _connect(path, mode="rw")


def _takes_writes(probe: Path) -> bool:
    try:
        with probe.open("wb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except OSError:
        return False
    return True


def _file_at(path: Path) -> tuple[int, int]:
    """What a name stands for now. Raises OSError."""
    found = path.stat()
    return (found.st_dev, found.st_ino)


def _mend(error: Exception) -> str | None:
    """What to do about a disk that refuses; None when the error is not the disk's."""
    return MENDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)


def _close(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # what it could not write is in the log, or was never confirmed
        connection.close()


def give_back(db: sqlite3.Connection) -> None:
    """Return free pages to the disk once most of the file is free: then each page costs one move at most."""
    pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    if free > max(GIVE_BACK_PAGES, pages // 2):
        for _ in range(GIVE_BACK_PAGES):
            db.execute("PRAGMA incremental_vacuum(1)")  # Python takes one step only, so one page a call


def _connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file: so it can give room back
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _migrate(path: Path, migrations: Sequence[str]) -> None:
    """Apply each missing migration in a transaction of its own; forward only."""
    connection = _connect(path)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        if version > len(migrations):
            if mark != MARK + version:
                raise sqlite3.DatabaseError(f"its header says schema {version} and mark {mark:#x}")
            raise TooNew(
                f"{path} has schema {version} and this release knows {len(migrations)}; "
                "install the newer release again."
            )
        missing = list(enumerate(migrations[version:], version + 1))
        for number, script in tracked(f"migrating {path.name}", missing) if version else missing:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\n"
                f"PRAGMA application_id = {MARK + number};\nCOMMIT;"
            )
    finally:
        connection.close()
