"""The store on PostgreSQL, for one bridge process or several on one database.

A `write` holds a lock of the database from its first statement to its commit: what one transaction decides it
decides alone, across all bridges, as on SQLite. Under it READ COMMITTED is enough, because each statement's
snapshot is taken after the lock. Work that may run beside its like holds the lock shared. A bridge that dies
or hangs lets go of it: its connection ends, or the server ends it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, LiteralString, TypeVar

import psycopg
from psycopg import errors

from agent.database import ReadFailed, WriteFailed
from agent.grouped import Write, Writer
from bridge.errors import BadRequest
from bridge.store.on_server import BESIDE_THE_POOL, OnServer
from bridge.store.pg_session import LOST, OutcomeUnknown, Session, Transaction, first_line
from bridge.store.store import Connection, NotBeside, Taken

T = TypeVar("T")

ALONE: Final = "BEGIN; SELECT pg_advisory_xact_lock(22327053576459329)"
BESIDE: Final = "BEGIN; SELECT pg_advisory_xact_lock_shared(22327053576459329)"
NEXT: Final = "RELEASE item; SAVEPOINT item"  # in one round trip
TOO_LONG: Final = "a name in this request is too long to be looked up by; shorten it to 500 characters"
ONE_MOMENT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresStore:
    """Made by `open_store`; at most `pool` connections."""

    is_shared: Final = True

    def __init__(self, where: OnServer, loop: asyncio.AbstractEventLoop) -> None:
        self._where = where
        self._name = where.name
        self._loop = loop
        self._closed = False
        self._writing = self._made()
        self._writer = Writer("write the database", loop, self._commit, self._writing.drop)
        self._pool = ThreadPoolExecutor(where.pool - BESIDE_THE_POOL, thread_name_prefix="database")
        self._mine = threading.local()
        self._sessions: list[Session] = []
        self._writer.start()

    @property
    def key_path(self) -> Path:
        return self._where.key_path

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise WriteFailed(f"{self._name} is closed")
        written: T = await self._writer.write(work)
        return written

    async def write_beside(self, beside: Callable[[Connection], T], alone: Callable[[Connection], T]) -> T:
        try:
            return await self._in_pool(self._write_beside, beside)
        except NotBeside:
            return await self.write(alone)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._in_pool(self._read, work)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._writer.close()
        await asyncio.to_thread(self._pool.shutdown)
        for session in self._sessions:
            session.drop()

    async def _in_pool(
        self, run: Callable[[Session, Callable[[Connection], T]], T], work: Callable[[Connection], T]
    ) -> T:
        """A cancelled caller waits for its thread: what it asked for must not happen behind its back."""
        if self._closed:
            raise ReadFailed(f"{self._name} is closed")
        running = self._loop.run_in_executor(self._pool, lambda: run(self._session(), work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if not running.cancel():
                await asyncio.wait([running])
            raise

    def _made(self) -> Session:
        return Session(self._where.url.reveal(), self._where.outcome_s)

    def _session(self) -> Session:
        session: Session | None = getattr(self._mine, "session", None)
        if session is None:
            session = self._mine.session = self._made()
            self._sessions.append(session)
        return session

    def _read(self, session: Session, work: Callable[[Connection], T]) -> T:
        try:
            return self._transact(session, ONE_MOMENT, work, lambda: session.say("COMMIT"))
        except LOST as error:
            session.drop()
            raise ReadFailed(f"cannot read {self._name}: {first_line(error)}") from error

    def _write_beside(self, session: Session, work: Callable[[Connection], T]) -> T:
        try:
            return self._transact(session, BESIDE, work, session.commit)
        except OutcomeUnknown:
            raise
        except LOST as error:
            session.drop()
            raise self._refusal(error) from error

    def _transact(
        self,
        session: Session,
        how: LiteralString,
        work: Callable[[Connection], T],
        commit: Callable[[], None],
    ) -> T:
        """Raises what `work` raises, `Taken`, and what `LOST` lists; then nothing is kept."""
        transaction = session.begin(how)
        try:
            result = work(transaction)
        except errors.ProgramLimitExceeded as error:
            session.say("ROLLBACK")
            raise BadRequest(TOO_LONG) from error
        except LOST:
            raise
        except psycopg.IntegrityError as error:
            session.say("ROLLBACK")
            raise Taken(first_line(error)) from error
        except BaseException:
            session.say("ROLLBACK")
            raise
        commit()
        return result

    def _commit(self, group: list[Write]) -> None:
        """One transaction for all; after a failure of the server's the connection is dropped."""
        try:
            transaction = self._writing.begin(ALONE)
            for place, item in enumerate(group):
                self._apply(transaction, item, "SAVEPOINT item" if place == 0 else NEXT)
            self._writing.commit()
        except Exception as error:  # noqa: BLE001 a bug too belongs to the callers: they would wait for ever
            self._writing.drop()
            refusal = self._refusal(error) if isinstance(error, psycopg.Error) else error
            for item in group:
                item.error = refusal

    def _apply(self, transaction: Transaction, item: Write, savepoint: LiteralString) -> None:
        self._writing.say(savepoint)
        try:
            item.result = item.work(transaction)
        except errors.ProgramLimitExceeded:
            item.error = BadRequest(TOO_LONG)
        except LOST:
            raise  # the server, not the caller: the whole group fails
        except psycopg.IntegrityError as error:
            item.error = Taken(first_line(error))
        except Exception as error:  # noqa: BLE001 the caller's own error travels back to the caller
            item.error = error
        if item.error is not None:
            self._writing.say("ROLLBACK TO item")

    def _refusal(self, error: psycopg.Error) -> WriteFailed:
        return WriteFailed(f"cannot write {self._name}: {first_line(error)}. Nothing was confirmed.")
