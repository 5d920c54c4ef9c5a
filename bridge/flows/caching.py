"""The same work with the same arguments is not done twice within a time: `cache_ttl` (openflow.md 1)."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("caching.sql"))


def done_before(
    connection: Connection, what: Sequence[str | int | None], job_id: str, ttl_s: int, now_s: float
) -> str | None:
    """The job whose result stands for this one's; None: this one's may stand for the next's.

    `what`: all that tells one work from another.
    """
    work = hashlib.sha256(msgspec.json.encode(what)).hexdigest()
    key = {"work": work, "since": now_s - ttl_s, "id": job_id}
    found = connection.execute(SQL["cached"], key).fetchone()
    if found is not None:
        return str(found["job_id"])
    connection.execute(SQL["forget_work"], key)
    connection.execute(SQL["note_work"], key)
    return None
