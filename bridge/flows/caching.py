"""The same work with the same arguments is not done twice within a time: `cache_ttl` (openflow.md 1)."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("caching.sql"))


def work_of(*what: str | int | None) -> str:
    """What tells one work from another, in short."""
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()


def done_before(connection: Connection, work: str, ttl_s: int, now_s: float) -> str | None:
    """The job that has done this work within `ttl_s`, whose result stands for another's; None: none has."""
    key = {"work": work, "since": now_s - ttl_s}
    found = connection.execute(SQL["cached"], key).fetchone()
    if found is not None:
        return str(found["job_id"])
    connection.execute(SQL["forget_work"], key)
    return None


def note(connection: Connection, work: str, job_id: str) -> None:
    """This job does it; its result may stand for the next one's."""
    connection.execute(SQL["note_work"], {"work": work, "id": job_id})
