"""What the spool's rows are as values, and how they are read: checked, because bytes rot."""

import sqlite3
from dataclasses import dataclass
from enum import Enum
from zlib import crc32

from agent.database import Damaged
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import unpack
from agent.wire.messages import Job, Result

Key = tuple[JobId, Attempt]


class Taken(Enum):
    """What became of a job that was offered."""

    NEW = "new"
    AGAIN = "again"  # it is here already, and is to be announced once more
    OVER = "over"  # it was here and has been brought to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the spool knows of one job in custody, without its bytes."""

    job_id: JobId
    attempt: Attempt
    tag: Tag
    state: str
    delivery: str
    priority: int | None
    max_interruptions: int
    interruptions: int
    remaining_s: float | None
    held_at: float
    accepted_sent: bool
    started_at: float | None
    started_sent: bool
    canceled_by: str | None
    cancel_reason: str | None
    log_chars: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished row on its way out. `result` is None when its bytes are damaged."""

    row_id: int
    key: Key
    result: Result | None
    parts_left: int  # of a large document; -1: not counted
    size: int  # bytes on the wire, nearly


@dataclass(frozen=True, slots=True)
class LogChunk:
    chunk_id: int
    key: Key
    offset: int
    text: str


def checked(key: Key, packed: bytes | None, crc: int | None) -> Job | Result | None:
    """What these bytes hold. None when they are damaged, or the row stands under another's key."""
    if not isinstance(packed, bytes) or crc32(packed) != crc:
        return None
    (kept,) = unpack(packed)
    return kept if isinstance(kept, Job | Result) and (kept.job_id, kept.attempt) == key else None


def kept_of(row_id: int, row: sqlite3.Row | None) -> Kept:
    """The row that an index names, read within the index's own snapshot, so that it must be there."""
    if row is None:
        raise Damaged(f"an index names row {row_id}, which has no unsent result")
    key = (row["job_id"], row["attempt"])
    kept = checked(key, row["result"], row["result_crc"])
    size = len(row["result"] or b"")
    return Kept(row_id, key, kept if isinstance(kept, Result) else None, row["parts_left"], size)


def row_of(row: sqlite3.Row) -> Row:
    values = dict(row)
    for name in ("accepted_sent", "started_sent"):
        values[name] = bool(values[name])
    return Row(**values)
