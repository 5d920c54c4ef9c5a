"""A bridge that no longer leads writes nothing more of what only the leader may write."""

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakSet

from agent.database import WriteFailed
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

T = TypeVar("T")

SQL: Final = queries(Path(__file__).with_name("lease.sql"))

# The term in which the running task was begun: whatever a leader does bears it, through whichever room, and
# no request to the API does.
TERM: Final[ContextVar["Term | None"]] = ContextVar("TERM", default=None)


class Deposed(WriteFailed):
    """Another bridge leads by now. Nothing was kept; the new leader does it."""


class Term:
    """One time of leading, by its number: each later one has a higher."""

    def __init__(self, epoch: int, on_end: Callable[[], None]) -> None:
        """`on_end` is called when it is found to be over."""
        self._epoch = epoch
        self._on_end = on_end
        self._held_in: WeakSet[Connection] = WeakSet()

    def end(self) -> None:
        self._on_end()

    def require(self, connection: Connection) -> None:
        """Once for each transaction: while it lasts no other term begins. Raises `Deposed`."""
        if connection in self._held_in:
            return
        if connection.execute(SQL["holds"], {"epoch": self._epoch}).fetchone() is None:
            raise Deposed("another bridge leads by now")
        self._held_in.add(connection)


class Fenced:
    """A store whose writes hold only while the term holds in which they are made.

    It is read in the transaction of the write itself. A new term begins in a transaction that is alone, so
    what an earlier one wrote is there to be seen by the new leader, or never will be.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def key_path(self) -> Path:
        return self._store.key_path

    @property
    def is_shared(self) -> bool:
        return self._store.is_shared

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._store.read(work)

    async def close(self) -> None:
        await self._store.close()

    async def write(self, work: Callable[[Connection], T]) -> T:
        term = TERM.get()
        if term is None:
            return await self._store.write(work)
        try:
            return await self._store.write(_fenced(work, term))
        except Deposed:
            term.end()
            raise

    async def write_beside(self, beside: Callable[[Connection], T], alone: Callable[[Connection], T]) -> T:
        term = TERM.get()
        if term is None:
            return await self._store.write_beside(beside, alone)
        try:
            return await self._store.write_beside(_fenced(beside, term), _fenced(alone, term))
        except Deposed:
            term.end()
            raise


def _fenced(work: Callable[[Connection], T], term: Term) -> Callable[[Connection], T]:
    def whole(connection: Connection) -> T:
        term.require(connection)
        return work(connection)

    return whole
