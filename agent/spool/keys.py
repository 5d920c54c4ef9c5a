"""Which jobs are here, by name: no row of theirs is read."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.database import Database
from agent.reading import queries
from agent.spool.rows import Key
from agent.wire.claims import Attempt, JobId

SQL: Final = queries(Path(__file__).with_name("keys.sql"))
STRETCH: Final = 1000  # keys looked at in one step


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, after: Key, most: int) -> list[Key]:
        """A stretch of what is held."""
        return await self._read("keys_after", {"job_id": after[0], "attempt": after[1], "most": most})

    async def all(self) -> list[Key]:
        """Everything in custody, read in stretches."""
        found: list[Key] = []
        while stretch := await self.after(found[-1] if found else (JobId(""), Attempt(0)), STRETCH):
            found += stretch
        return found

    async def finished(self) -> list[Key]:
        """Of results that have not left."""
        return await self._read("finished_keys")

    async def sent(self) -> list[Key]:
        """Of results that have left and wait for their receipt."""
        return await self._read("sent_keys")

    async def oldest_unsent_at(self) -> float | None:
        """When the result was ready that waits longest to leave: wall seconds of the site."""
        row = await self._database.read(lambda db: db.execute(SQL["oldest_unsent"]).fetchone())
        at = row["finished_at"]
        return at if isinstance(at, float) else None

    async def with_log(self) -> set[Key]:
        """Of jobs whose log text has not left in all."""
        return set(await self._read("keys_with_log"))

    async def last_attempt(self, job_id: JobId) -> tuple[Attempt, bool]:
        """The last attempt of a job that was ever here, 0 for none; and whether it is here still."""

        def look(db: sqlite3.Connection) -> sqlite3.Row:
            row: sqlite3.Row = db.execute(SQL["last_attempt"], {"job_id": job_id}).fetchone()
            return row

        row = await self._database.read(look)
        return Attempt(max(row["held"], row["seen"])), row["held"] > 0

    async def _read(self, name: str, values: Mapping[str, Any] | None = None) -> list[Key]:
        rows = await self._database.read(lambda db: db.execute(SQL[name], values or {}).fetchall())
        return [(row["job_id"], row["attempt"]) for row in rows]
