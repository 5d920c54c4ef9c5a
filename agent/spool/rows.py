"""What the spool's rows are as values."""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Result

Key = tuple[JobId, Attempt]


def owner_of(key: Key) -> str:
    """Whose a large document is."""
    return f"{key[0]}/{key[1]}"


class Taken(Enum):
    """What became of a job that was offered."""

    NEW = "new"
    AGAIN = "again"  # it is here already, and is to be announced once more
    OVER = "over"  # it was here and has been brought to its end

    def __bool__(self) -> bool:
        """Whether custody began."""
        return self is Taken.NEW


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
    bundle: str


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


def row_of(row: sqlite3.Row) -> Row:
    values = dict(row)
    for name in ("accepted_sent", "started_sent"):
        values[name] = bool(values[name])
    return Row(**values)
