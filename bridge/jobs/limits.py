"""Never more than N jobs of a key at once, nor within a window; inside the writer's transaction.

A key's places are rows of the store, taken and given back in the commit of the job's own change, so they
outlive any death; a lost job keeps its place until it is over. Who meets a full key is held back, and each
place that becomes free lets one in.
"""

from pathlib import Path
from typing import Final

from bridge.jobs.news import LATER, Kind
from bridge.store.bulletin import Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Row

SQL: Final = queries(Path(__file__).with_name("limits.sql"))


def may_start(connection: Connection, job_id: str, tell: Tell) -> bool:
    """Take a place for the job; False: its key is full, and it is held back until a place is free."""
    job = _limit_of(connection, job_id)
    if job is None:
        return True
    place = {"id": job_id, **job}
    (taken,) = connection.execute(SQL["taken"], place).fetchone()
    if taken >= job["concurrent_limit"]:
        connection.execute(SQL["hold_back"], place)
        tell(LATER)  # the end of a window may be waited for now
        return False
    connection.execute(SQL["occupy"], place)
    return True


def ended(connection: Connection, job_id: str, now_s: float, tell: Tell) -> None:
    """Before the job leaves the queue; it may let another one in, now or when its window is over.

    One that had its turn passes it on, one that is held back has none.
    """
    job = _limit_of(connection, job_id)
    if job is None or job["waits_for"] is not None:
        return
    window_s = job["concurrency_time_window_s"]
    if window_s and connection.execute(SQL["keep"], {"id": job_id, "free_at": now_s + window_s}).rowcount:
        tell(LATER)
        return
    connection.execute(SQL["free"], {"id": job_id})
    _let_in(connection, job["concurrency_key"], tell)


def free_due(connection: Connection, now_s: float, tell: Tell) -> None:
    """Places whose window is over."""
    for row in connection.execute(SQL["free_due"], {"now": now_s}).fetchall():
        _let_in(connection, row["concurrency_key"], tell)


def next_free(connection: Connection) -> float | None:
    """When the next window is over."""
    (free_at_s,) = connection.execute(SQL["next_free"]).fetchone()
    return None if free_at_s is None else float(free_at_s)


def _let_in(connection: Connection, key: str, tell: Tell) -> None:
    rows = connection.execute(SQL["let_in"], {"concurrency_key": key}).fetchall()
    for tag in {row["tag"] for row in rows}:
        tell(Note(Kind.PUSHED, tag))


def _limit_of(connection: Connection, job_id: str) -> Row | None:
    row: Row | None = connection.execute(SQL["limit_of"], {"id": job_id}).fetchone()
    return row
