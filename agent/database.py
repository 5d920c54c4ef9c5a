"""One SQLite file, one writer thread with group commit: the durable record of each side.

What we assume of the disk: a completed fsync survives a power cut, and a page is written whole or
its checksum in the WAL does not match. What we give: when `write` returns, its effect is on disk (I3).
"""

import asyncio
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

GROUP_MAX: Final = 256  # writes that share one fsync at most
MARK: Final = 0x4F520000  # "OR": the header holds the schema's number twice, so one flipped bit is no version
QUEUE_MAX: Final = 10_000  # writes that may wait; at the bound callers wait too (I6)


class DatabaseError(Exception):
    """DatabaseError: WriteFailed · Damaged · TooNew"""


class WriteFailed(DatabaseError):
    """The disk refused a commit (full, read-only, I/O error). Nothing of that group was kept."""


class Damaged(DatabaseError):
    """What the file holds makes no sense any more, it must be replaced. Of that group nothing was kept."""


class TooNew(DatabaseError):
    """The file was written by a newer release than this one."""


def queries(path: Path) -> Mapping[str, str]:
    """The named statements of a `.sql` file: `-- name: accept` starts one."""
    parts = re.split(r"^-- name: (\w+)\n", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


@dataclass(slots=True)
class _Write(Generic[T]):
    work: Work[T]
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


class Database:
    """Open with `await Database.open(path, migrations)`; close with `await close()`."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._writes: queue.Queue[_Write[Any] | None] = queue.Queue(QUEUE_MAX)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"read {path.name}")
        self._read_connection: sqlite3.Connection | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"write {path.name}", daemon=True)

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[str]) -> "Database":
        """Open or create `path` and bring it to the newest schema.

        Raises `sqlite3.Error` (damaged, not writable) and `TooNew`.
        """
        await asyncio.to_thread(_migrate, path, migrations)
        database = cls(path, asyncio.get_running_loop())
        database._thread.start()
        return database

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer's transaction; on return it is committed and fsynced.

        Raises whatever `work` raises (then nothing of it is kept), `WriteFailed` and `Damaged`.
        """
        if self._closed:
            raise WriteFailed(f"{self._path.name} is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        item = _Write(work, future)
        try:
            self._writes.put_nowait(item)
        except queue.Full:
            await asyncio.to_thread(self._writes.put, item)
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run `work` on what is committed. It never waits for an fsync. Raises `Damaged`."""
        return await self._loop.run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._writes.put, None)
        await asyncio.to_thread(self._thread.join)
        await self._loop.run_in_executor(self._readers, self._close_reader)
        self._readers.shutdown()

    def _read(self, work: Work[T]) -> T:
        try:
            if self._read_connection is None:
                self._read_connection = _connect(self._path)
            return work(self._read_connection)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise Damaged(f"{self._path.name}: {error}") from error
            raise

    def _close_reader(self) -> None:
        if self._read_connection is not None:
            self._read_connection.close()

    def _serve(self) -> None:
        connection: sqlite3.Connection | None = None
        stopping = False
        while not stopping:
            first = self._writes.get()
            if first is None:
                break
            group = [first]
            while len(group) < GROUP_MAX and not self._writes.empty():
                item = self._writes.get_nowait()
                if item is None:
                    stopping = True
                    break
                group.append(item)
            connection = self._commit(connection, group)
            self._loop.call_soon_threadsafe(_answer, group)
        if connection is not None:
            connection.close()

    def _commit(
        self, connection: sqlite3.Connection | None, group: list[_Write[Any]]
    ) -> sqlite3.Connection | None:
        """Commit `group` with one fsync. After a failure the connection is dropped, never fsynced again.

        The next group opens another one, and fails by itself where that cannot be.
        """
        try:
            connection = connection or _connect(self._path)
            connection.execute("BEGIN IMMEDIATE")
            for item in group:
                _apply(connection, item)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            for item in group:
                item.error = self._refusal(error)
            if connection is not None:
                connection.close()
            return None
        return connection

    def _refusal(self, error: sqlite3.Error) -> DatabaseError:
        if is_damage(error):
            return Damaged(f"{self._path.name}: {error}")
        return WriteFailed(
            f"cannot write {self._path}: {error}; free the disk or check its health. Nothing was confirmed."
        )


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it is the file's content that is wrong, and not the disk that refuses."""
    code = getattr(error, "sqlite_errorcode", 0)
    return (
        code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or code == sqlite3.SQLITE_IOERR_SHORT_READ  # the file ends too early
        or "decode to UTF-8" in str(error)  # Python's own, without a code
    )


def _apply(connection: sqlite3.Connection, item: _Write[Any]) -> None:
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


def _answer(group: list[_Write[Any]]) -> None:
    for item in group:
        if item.future.cancelled():
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
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
        for number, script in enumerate(migrations[version:], version + 1):
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\n"
                f"PRAGMA application_id = {MARK + number};\nCOMMIT;"
            )
    finally:
        connection.close()
