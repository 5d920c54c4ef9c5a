"""Cost per job stays flat: SQLite itself says how it finds the rows of every statement of the spool."""

import re
import sqlite3

import pytest

from agent.spool import keys, statements
from agent.spool.spool import MIGRATIONS

SQL = {**statements.SQL, **keys.SQL}
BOUNDED = re.compile("held_open|held_finished|held_blobs|held_sent")  # hold only the rows that are asked for
SMALL = ("quarantine", "log_chunk", "meta")  # of their own bounds, or read from one end


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        connection.executescript(script)
    return connection


@pytest.mark.parametrize("name", SQL)
def test_it_finds_its_rows_by_an_index(database: sqlite3.Connection, name: str) -> None:
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), 1)
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values)]
    scans = [step for step in plan if step.startswith("SCAN")]
    assert all(
        BOUNDED.search(step) or step.split()[1] in SMALL or "CONSTANT ROW" in step for step in scans
    ), plan
    if name in ("ready_results", "blob_results", "open_rows"):
        assert not any("TEMP B-TREE" in step for step in plan), plan  # the index has the order
