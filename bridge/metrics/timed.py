"""A store whose writes are timed and counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from agent.database import DatabaseError
from bridge.metrics.figures import STORE_FAILURES, STORE_WRITE_S, STORE_WRITES_OPEN
from bridge.store.store import Connection, Store

T = TypeVar("T")


class Timed:
    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def key_path(self) -> Path:
        return self._store.key_path

    @property
    def is_shared(self) -> bool:
        return self._store.is_shared

    async def read(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._store.read(work)
        except DatabaseError:
            STORE_FAILURES.labels("read").inc()
            raise

    async def write(self, work: Callable[[Connection], T]) -> T:
        with _timed():
            return await self._store.write(work)

    async def write_beside(self, beside: Callable[[Connection], T], alone: Callable[[Connection], T]) -> T:
        with _timed():
            return await self._store.write_beside(beside, alone)

    async def close(self) -> None:
        await self._store.close()


@contextmanager
def _timed() -> Iterator[None]:
    try:
        with STORE_WRITES_OPEN.track_inprogress(), STORE_WRITE_S.time():
            yield
    except DatabaseError:
        STORE_FAILURES.labels("write").inc()
        raise
