"""What scripts remember from one run to the next, kept at the site: one value for each path."""

import sqlite3
from pathlib import Path
from typing import Final

from agent.database import Database
from agent.reading import queries
from agent.spool.contents import Content, Contents
from agent.spool.rows import Key

SQL: Final = queries(Path(__file__).with_name("script_states.sql"))
KEPT_MAX: Final = 10_000  # paths; beyond them what was set longest ago goes (I6)


class ScriptStates:
    def __init__(self, database: Database, contents: Contents) -> None:
        self._database = database
        self._contents = contents

    async def keep(self, workspace: str, path: str, value: str, key: Key, since: float) -> None:
        """`value`: JSON text. `since`: when its job was handed out, in the bridge's wall seconds.

        On return it survives a power cut. Raises `WriteFailed`.
        """
        place = {"workspace": workspace, "path": path}
        row = place | {
            "value": self._contents.close_text(value, Content.STATE, workspace, path),
            "job_id": key[0],
            "attempt": key[1],
            "since": since,
        }

        def write(db: sqlite3.Connection) -> None:
            db.execute(SQL["keep"], row)
            db.execute(SQL["drop_oldest"], {"most": KEPT_MAX})

        await self._database.write(write)

    async def last(self, workspace: str, path: str) -> tuple[str, float] | None:
        """The value, and since when its job was handed out; None when none is kept or it is damaged."""
        place = {"workspace": workspace, "path": path}
        row = await self._database.read(lambda db: db.execute(SQL["one"], place).fetchone())
        if row is None:
            return None
        value = self._contents.open_text(row["value"], Content.STATE, workspace, path)
        return None if value is None else (value, row["since"])

    async def set_by(self, key: Key) -> dict[str, str]:
        """What this attempt set, by path, for its result to carry."""
        values = {"job_id": key[0], "attempt": key[1]}
        rows = await self._database.read(lambda db: db.execute(SQL["set_by"], values).fetchall())
        opened = {
            row["path"]: self._contents.open_text(row["value"], Content.STATE, row["workspace"], row["path"])
            for row in rows
        }
        return {path: value for path, value in opened.items() if value is not None}
