"""A pull that is sent again gets the same job, so that no lost answer strands one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bridge.jobs import transitions
from bridge.store.statements import queries
from bridge.store.store import Connection, Row

SQL: Final = queries(Path(__file__).with_name("repeats.sql"))


def take(
    connection: Connection,
    worker: str,
    tags: Sequence[str],
    now_s: float,
    request_id: str | None,
    take_one: Callable[[Connection, str, Sequence[str], float], Row | None],
) -> Row | None:
    """As `take_one`, of `transitions`; with a `request_id` that came before, what it got then."""
    if request_id is None:
        return take_one(connection, worker, tags, now_s)
    key = {"worker": worker, "request_id": request_id}
    connection.execute(SQL["stand_in_line"], key)
    before = connection.execute(SQL["pulled_before"], key).fetchone()
    if before is not None:
        return transitions.read_pulled(connection, before["id"])
    row = take_one(connection, worker, tags, now_s)
    if row is not None:
        connection.execute(SQL["remember"], {"request_id": request_id, "id": row["job_id"]})
    return row
