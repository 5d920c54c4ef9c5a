"""A store that any earlier release left is opened by this one, and nothing that was in it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.database import MARK
from bridge.store.connection import MIGRATIONS, open_store, scripts
from bridge.store.store import Connection
from tests.support.databases import plain

SCRIPTS = scripts(MIGRATIONS)
WORDS = {
    "delivery": "at_least_once",
    "replace": "never",
    "state": "ready",
    "status": "success",
    "device.state": "bound",
}  # with a CHECK
FILLED = {"INTEGER": 7, "REAL": 7.5, "TEXT": "seven", "BLOB": b"7"}
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
Rows = dict[str, list[dict[str, Any]]]


def filling(table: str, column: str, kind: str) -> object:
    return WORDS.get(f"{table}.{column}") or WORDS.get(column, FILLED[kind])


def old_store(path: Path, release: int) -> Rows:
    """With a row in each table, and something in each of its columns."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        for script in SCRIPTS[:release]:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {release}")
        database.execute(f"PRAGMA application_id = {MARK + release}")
        for (name,) in database.execute(TABLES).fetchall():
            columns = database.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
            row = [filling(name, column["name"], column["type"]) for column in columns]
            database.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 our own schema
        return rows_of(database, database.execute(TABLES))


def rows_of(database: Any, tables: Any) -> Rows:
    return {
        name: [dict(row) for row in database.execute(plain(f"SELECT * FROM {name}"))]  # noqa: S608 our own schema
        for (name,) in tables.fetchall()
    }


@pytest.mark.parametrize("release", range(1, len(SCRIPTS)))
async def test_from_each_schema(tmp_path: Path, release: int) -> None:
    before = old_store(tmp_path / "bridge.db", release)
    store = await open_store(tmp_path / "bridge.db")
    try:
        tables = plain(TABLES)

        def look(database: Connection) -> tuple[Rows, int]:
            (version,) = database.execute(plain("PRAGMA user_version")).fetchone()
            return rows_of(database, database.execute(tables)), version

        after, version = await store.read(look)
    finally:
        await store.close()
    assert version == len(SCRIPTS)
    for name, rows in before.items():
        assert [{key: row[key] for key in rows[0]} for row in after[name]] == rows
