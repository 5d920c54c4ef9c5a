"""The bridge looks every few seconds for jobs whose `not_after` has passed: that must not cost the others."""

import re
import sqlite3

from bridge.relay.ledger import SQL
from bridge.store.connection import MIGRATIONS


def test_its_index_names_them() -> None:
    connection = sqlite3.connect(":memory:")
    for script in sorted(MIGRATIONS.glob("*.sql")):
        connection.executescript(script.read_text())
    values = dict.fromkeys(re.findall(r":(\w+)", SQL["expired"]), 1)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL['expired']}", values)]
    assert plan == ["SEARCH ledger USING INDEX ledger_not_after (not_after>? AND not_after<?)"]
