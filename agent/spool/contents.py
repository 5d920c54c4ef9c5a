"""What the spool's rows hold: read checked, because bytes rot, and sealed where there is a key."""

import sqlite3
from enum import StrEnum
from zlib import crc32

from agent.database import Damaged
from agent.spool.rows import Kept, Key, LogChunk
from agent.spool.sealing import Seal
from agent.wire.envelope import unpack
from agent.wire.messages import Job, Result


class Content(StrEnum):
    """Part of the place that a content is sealed for."""

    BODY = "body"  # of a held or a quarantined job
    RESULT = "result"
    LOG = "log"
    META = "meta"
    STATE = "state"  # of a script


class Contents:
    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def close(self, content: bytes, *place: str | int) -> bytes:
        return self._seal.close(content, *place)

    def close_text(self, text: str, *place: str | int) -> str | bytes:
        """As text where there is no key: SQLite keeps either in any column."""
        return self._seal.close(text.encode(), *place) if self._seal.key_id else text

    def open_text(self, kept: str | bytes, *place: str | int) -> str | None:
        """None when it is damaged."""
        if isinstance(kept, str):
            return kept
        opened = self._seal.open(kept, *place)
        return None if opened is None else opened.decode()

    def message(self, key: Key, row: sqlite3.Row, content: Content) -> Job | Result | None:
        """The job or the result of a row with `content` and its checksum; None when it is damaged."""
        return checked(key, row[content], row[f"{content}_crc"], content, self._seal)

    def kept(self, row_id: int, row: sqlite3.Row | None) -> Kept:
        """The row that an index names, read within the index's own snapshot, so that it must be there."""
        if row is None:
            raise Damaged(f"an index names row {row_id}, which has no unsent result")
        key = (row["job_id"], row["attempt"])
        kept = self.message(key, row, Content.RESULT)
        size = len(row["result"] or b"")
        return Kept(row_id, key, kept if isinstance(kept, Result) else None, row["parts_left"], size)

    def chunk(self, row: sqlite3.Row) -> LogChunk:
        """I5: text that is damaged is a gap, which the bridge marks."""
        key = (row["job_id"], row["attempt"])
        text = self.open_text(row["text"], Content.LOG, *key, row["start"]) or ""
        return LogChunk(row["id"], key, row["start"], text)


def checked(
    key: Key, kept: bytes | None, crc: int | None, content: Content, seal: Seal
) -> Job | Result | None:
    """What these bytes hold. None when they are damaged, or the row stands under another's key.

    The checksum is of what is on the disk, so that damage can be told without the key.
    """
    if not isinstance(kept, bytes) or crc32(kept) != crc:
        return None
    packed = seal.open(kept, content, *key)
    if packed is None:
        return None
    (one,) = unpack(packed)
    return one if isinstance(one, Job | Result) and (one.job_id, one.attempt) == key else None
