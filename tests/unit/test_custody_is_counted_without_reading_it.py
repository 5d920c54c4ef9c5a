"""A job's row has its body in it, so what is out is counted by an index alone, whoever looks how often."""

import sqlite3

from bridge.metrics.census import SQL
from bridge.store.connection import MIGRATIONS


def test_an_index_answers() -> None:
    connection = sqlite3.connect(":memory:")
    for script in sorted(MIGRATIONS.glob("*.sql")):
        connection.executescript(script.read_text())
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL['custody']}")]
    assert plan == ["SCAN ledger USING COVERING INDEX ledger_open"]
