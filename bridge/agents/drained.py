"""Who is to take nothing new, known without a look at the store: thousands ask with each pull."""

import asyncio
from pathlib import Path
from typing import Final

from bridge.store.bulletin import Bulletin
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("agents.sql"))
KIND: Final = "drained"  # of the note that tells every bridge that it has changed


class Drained:
    def __init__(self, store: Store, bulletin: Bulletin) -> None:
        self._store = store
        self._known: frozenset[str] | None = None  # None: it has changed since; the store wins
        self._reading = asyncio.Lock()
        bulletin.on(KIND, lambda _: self._forget(), self._forget)

    async def holds(self, worker: str) -> bool:
        async with self._reading:
            while self._known is None:
                self._known = frozenset()  # a change while we read makes it None again
                found = await self._store.read(_drained)
                self._known = None if self._known is None else found
            return worker in self._known

    def _forget(self) -> None:
        self._known = None


def _drained(connection: Connection) -> frozenset[str]:
    return frozenset(row["worker"] for row in connection.execute(SQL["drained"]))
