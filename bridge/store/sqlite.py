"""The store in one SQLite file, for one bridge process."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from agent.database import Database
from bridge.store.store import Taken

T = TypeVar("T")


class SqliteStore(Database):
    is_shared: Final = False

    @property
    def key_path(self) -> Path:
        return self.path.with_name(self.path.name + ".key")

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await super().write(work)
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from error

    async def write_beside(
        self,
        beside: Callable[[sqlite3.Connection], T],  # noqa: ARG002 one writer is beside nobody
        alone: Callable[[sqlite3.Connection], T],
    ) -> T:
        return await self.write(alone)
