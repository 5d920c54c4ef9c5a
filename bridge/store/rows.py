"""The one row that somebody asks for by its name."""

from collections.abc import Mapping
from typing import Any

from bridge.errors import NotFound
from bridge.store.statements import Statement
from bridge.store.store import Connection, Row


def found(connection: Connection, statement: Statement, values: Mapping[str, Any], missing: str) -> Row:
    """Raises `NotFound` with the text `missing`."""
    row: Row | None = connection.execute(statement, values).fetchone()
    if row is None:
        raise NotFound(missing)
    return row
