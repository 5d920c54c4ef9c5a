"""The agent's durable store: custody, results, log text and settings on disk (DESIGN section 6)."""

import asyncio
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from agent.changes import Changes
from agent.clock import Clock
from agent.database import Damaged, Database, queries
from agent.spool.blobs import Blobs
from agent.spool.folder import FLOOR_BYTES, Folder
from agent.spool.recovery import open_database
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack, unpack
from agent.wire.messages import Job, Result

HERE: Final = Path(__file__).parent
MIGRATIONS: Final = tuple((HERE / name).read_text() for name in ("schema.sql", "schema_2.sql"))
SQL: Final[Mapping[str, str]] = queries(HERE / "spool.sql")

SEEN_FOR_S: Final = 90 * 86_400  # the dedupe memory outlives the longest outage

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


class Spool:
    """Every write returns after its fsync. Opened by `Spool.open`; `WriteFailed` means nothing was kept."""

    def __init__(self, folder: Folder, blobs: Blobs, database: Database, clock: Clock) -> None:
        self.folder = folder
        self.blobs = blobs
        self._database = database
        self._clock = clock
        self._may_have_unreported = True  # False spares the reporter a read for every event
        self.log_changes = Changes()  # one for every piece of log text kept

    @classmethod
    async def open(cls, path: Path, clock: Clock, *, damaged: bool = False) -> "Spool":
        """Lock the folder, mend what is damaged, and open. Raises `SpoolError`.

        `damaged`: the database was found so while it was used, so what can be read goes into a new one.
        """
        folder = Folder(path)
        try:
            database = await open_database(folder, MIGRATIONS, damaged=damaged)
        except BaseException:
            folder.release()
            raise
        return cls(folder, Blobs(folder.blobs), database, clock)

    async def close(self) -> None:
        await self._database.close()
        self.folder.release()

    def has_room(self) -> bool:
        return self.folder.free_bytes() > FLOOR_BYTES  # I6

    async def hold(self, job: Job, body: bytes, state: str) -> Taken:
        """Take custody. On return the job survives a power cut (I3)."""
        remaining = None if job.lives_s is None else job.lives_s - job.age_s
        values = {
            "job_id": job.job_id, "attempt": job.attempt, "tag": job.tag, "state": state,
            "delivery": str(job.delivery), "priority": job.priority,
            "max_interruptions": job.max_interruptions, "remaining_s": remaining,
            "held_at": self._clock.wall_s(), "body": body, "body_crc": crc32(body),
        }  # fmt: skip

        def insert(db: sqlite3.Connection) -> Taken:
            if db.execute(SQL["hold"], values).rowcount:
                return Taken.NEW
            return Taken.AGAIN if db.execute(SQL["reannounce"], values).rowcount else Taken.OVER

        return await self._database.write(insert)

    async def move(
        self,
        key: Key,
        state: str,
        interruptions: int,
        *,
        started_at: float | None = None,
        canceled_by: str | None = None,
        cancel_reason: str | None = None,
    ) -> bool:
        """Record a step of the state table. False: there is no such row, or it is over."""
        values = _of(key) | {
            "state": state, "interruptions": interruptions, "started_at": started_at,
            "canceled_by": canceled_by, "cancel_reason": cancel_reason,
        }  # fmt: skip
        return await self._execute("move", [values]) > 0

    async def finish(self, key: Key, state: str, result: Result) -> bool:
        """Keep the result: large documents in a blob first, then state and result in one commit (I3).

        False: there is no such row any more, or a result of it is kept already.
        """
        if len(result.document) > BLOB_PART_BYTES:
            result = await asyncio.to_thread(self._to_blob, result)
        packed = pack([result])
        values = _of(key) | {
            "state": state, "result": packed, "result_crc": crc32(packed), "finished_at": result.finished_at,
            "parts_left": result.blob_parts,
        }  # fmt: skip
        return await self._execute("finish", [values]) > 0

    async def job(self, key: Key) -> Job | None:
        """The job as it was signed; None when its bytes are damaged or stand under another's key."""
        row = await self._database.read(lambda db: db.execute(SQL["body"], _of(key)).fetchone())
        kept = None if row is None else _checked(key, row["body"], row["body_crc"])
        return kept if isinstance(kept, Job) else None

    async def result(self, key: Key) -> Result | None:
        """The kept result, sent or not; None when its bytes are damaged or there is none."""
        row = await self._database.read(lambda db: db.execute(SQL["result"], _of(key)).fetchone())
        kept = None if row is None else _checked(key, row["result"], row["result_crc"])
        return kept if isinstance(kept, Result) else None

    async def results(self, skip: Collection[int], most: int, most_bytes: int) -> list[Kept]:
        """The best results that may leave, without those rows; one at least, however large."""

        def look(db: sqlite3.Connection) -> list[Kept]:
            found: list[Kept] = []
            size = 0
            for (row_id,) in db.execute(SQL["ready_results"], {"most": most + len(skip)}):
                if row_id in skip:
                    continue
                kept = _kept(db, row_id)
                size += kept.size
                if len(found) == most or (found and size > most_bytes):
                    break
                found.append(kept)
            return found

        return await self._database.read(look)

    async def next_blob(self) -> Kept | None:
        """The best result whose document has parts that are not confirmed."""

        def look(db: sqlite3.Connection) -> Kept | None:
            for (row_id,) in db.execute(SQL["blob_results"], {"most": 1}):
                return _kept(db, row_id)
            return None

        return await self._database.read(look)

    async def parts_left(self, key: Key, left: int) -> bool:
        """Note how many parts of it are not confirmed. False: the result is not wanted any more."""
        return await self._execute("parts_left", [_of(key) | {"parts_left": left}]) > 0

    async def is_whole(self, result: Result) -> bool:
        """Whether the large document of a kept result is there and undamaged. It is not read into memory."""
        owner = _owner((result.job_id, result.attempt))
        return await asyncio.to_thread(self.blobs.is_whole, owner, result.blob_sha256)

    async def part(self, result: Result, index: int) -> bytes:
        """One part of the large document of a kept result; empty when it is gone."""
        owner = _owner((result.job_id, result.attempt))
        return await asyncio.to_thread(self.blobs.part, owner, index * BLOB_PART_BYTES, BLOB_PART_BYTES)

    async def open_rows(self) -> list[Row]:
        """What is not over, and what the bridge has not confirmed to have heard of; the oldest first."""
        rows = await self._database.read(lambda db: db.execute(SQL["open_rows"]).fetchall())
        return [_row(row) for row in rows]

    async def row(self, key: Key) -> Row | None:
        found = await self._database.read(lambda db: db.execute(SQL["one_row"], _of(key)).fetchone())
        return None if found is None else _row(found)

    async def states(self, keys: Iterable[Key]) -> dict[Key, str]:
        """The state of each of these that is held."""

        def look(db: sqlite3.Connection) -> dict[Key, str]:
            found = ((key, db.execute(SQL["state_of"], _of(key)).fetchone()) for key in keys)
            return {key: row["state"] for key, row in found if row is not None}

        return await self._database.read(look)

    async def count_over(self) -> tuple[int, int]:
        """How many rows have a result that has not been sent, and how many one that has."""

        def look(db: sqlite3.Connection) -> tuple[int, int]:
            ready, blobs, sent = (
                db.execute(SQL[name]).fetchone()["jobs"]
                for name in ("count_finished", "count_blobs", "count_sent")
            )
            return ready + blobs, sent

        return await self._database.read(look)

    async def mark(self, what: str, keys: Sequence[Key]) -> None:
        """Note that `what` ("accepted_sent" or "started_sent") has been confirmed by the broker."""
        await self._execute(what, [_of(key) for key in keys])

    async def sent(self, keys: Sequence[Key], state: str) -> int:
        """Note that the broker has confirmed these results. How many of them waited for that."""
        return await self._execute("sent", [_of(key) | {"state": state} for key in keys])

    async def forget(self, keys: Sequence[Key], *, keep_log: bool) -> dict[Key, str]:
        """Let go of these rows and remember that they were here. The blobs go after the commit.

        The states of those that were here.
        """
        now = self._clock.wall_s()

        def delete(db: sqlite3.Connection) -> dict[Key, str]:
            gone = {}
            for key in keys:
                row = db.execute(SQL["forget"], _of(key)).fetchone()
                if row is None:
                    continue
                gone[key] = row["state"]
                db.execute(SQL["remember"], _of(key) | {"at": now})
                if not keep_log:
                    db.execute(SQL["forget_log"], _of(key))
            return gone

        gone = await self._database.write(delete)
        for key in gone:
            self.blobs.drop(_owner(key))
        return gone

    async def prune_seen(self, after: Key, most: int) -> Key | None:
        """Take what is too old out of a stretch of the dedupe memory. Its last key; None at the end."""
        before = self._clock.wall_s() - SEEN_FOR_S
        values = _of(after) | {"most": most}
        rows = await self._database.read(lambda db: db.execute(SQL["seen_after"], values).fetchall())
        if old := [_of((row["job_id"], row["attempt"])) for row in rows if row["at"] < before]:
            await self._execute("drop_seen", old)
        return (rows[-1]["job_id"], rows[-1]["attempt"]) if len(rows) == most else None

    async def add_log(self, key: Key, offset: int, text: str) -> None:
        """Keep log text; `offset` counts the characters of this attempt before it (I5)."""

        def insert(db: sqlite3.Connection) -> None:
            db.execute(SQL["add_log"], _of(key) | {"start": offset, "text": text})
            db.execute(SQL["log_length"], _of(key) | {"log_chars": offset + len(text)})

        await self._database.write(insert)
        self.log_changes.note()

    async def pending_log(self, most: int) -> list[LogChunk]:
        """The oldest text that has not been sent, at most `most` chunks."""
        rows = await self._database.read(lambda db: db.execute(SQL["pending_log"], {"most": most}).fetchall())
        return [
            LogChunk(row["id"], (row["job_id"], row["attempt"]), row["start"], row["text"]) for row in rows
        ]

    async def log_sent(self, chunk_ids: Sequence[int]) -> None:
        await self._execute("log_sent", [{"id": chunk_id} for chunk_id in chunk_ids])

    async def quarantined(self, keys: Iterable[Key]) -> set[Key]:
        """Those of `keys` that stand in quarantine."""

        def look(db: sqlite3.Connection) -> set[Key]:
            return {key for key in keys if db.execute(SQL["is_quarantined"], _of(key)).fetchone()}

        return await self._database.read(look)

    async def unreported(self) -> list[tuple[int, JobId, Attempt, str]]:
        """Quarantined rows that the bridge has not heard of."""
        if not self._may_have_unreported:
            return []
        rows = await self._database.read(lambda db: db.execute(SQL["unreported"]).fetchall())
        self._may_have_unreported = bool(rows)
        return [(row["id"], row["job_id"], row["attempt"], row["what"]) for row in rows]

    async def reported(self, row_id: int) -> None:
        await self._execute("reported", [{"id": row_id}])

    async def get_meta(self, key: str) -> str | None:
        row = await self._database.read(lambda db: db.execute(SQL["get_meta"], {"key": key}).fetchone())
        return None if row is None else row["value"]

    async def set_meta(self, key: str, value: str) -> None:
        await self._execute("set_meta", [{"key": key, "value": value}])

    async def quarantine(self, key: Key, what: str) -> str | None:
        """Take a damaged row out of the way: the rest is delivered, this one waits for a person.

        The state it had; None when its receipt came in this moment: it is gone because it is recorded.
        """
        now = self._clock.wall_s()

        def move(db: sqlite3.Connection) -> str | None:
            row = db.execute(SQL["body"], _of(key)).fetchone()
            if row is None:
                return None
            values = _of(key) | {"at": now, "what": what, "bytes": row["body"]}
            db.execute(SQL["quarantine"], values)
            return str(db.execute(SQL["forget"], _of(key)).fetchone()["state"])

        state = await self._database.write(move)
        self._may_have_unreported = True
        return state

    async def drop_result(self, key: Key, state: str) -> bool:
        """False: there is no such result any more."""
        return await self._execute("drop_result", [_of(key) | {"state": state}]) > 0

    async def _execute(self, name: str, values: Sequence[Mapping[str, Any]]) -> int:
        """How many rows it changed."""
        return await self._database.write(lambda db: db.executemany(SQL[name], values).rowcount)

    def _to_blob(self, result: Result) -> Result:
        name = self.blobs.put(_owner((result.job_id, result.attempt)), result.document)
        parts = -(-len(result.document) // BLOB_PART_BYTES)
        return replace(result, document=b"", blob_sha256=name, blob_parts=parts)


def _of(key: Key) -> dict[str, Any]:
    return {"job_id": key[0], "attempt": key[1]}


def _owner(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _checked(key: Key, packed: bytes | None, crc: int | None) -> Job | Result | None:
    """What these bytes hold. None when they are damaged, or the row stands under another's key."""
    if not isinstance(packed, bytes) or crc32(packed) != crc:
        return None
    (kept,) = unpack(packed)
    return kept if isinstance(kept, Job | Result) and (kept.job_id, kept.attempt) == key else None


def _kept(db: sqlite3.Connection, row_id: int) -> Kept:
    """The row that an index names; within the index's own snapshot, so that it must be there."""
    row = db.execute(SQL["kept_result"], {"row_id": row_id}).fetchone()
    if row is None:
        raise Damaged(f"an index names row {row_id}, which has no unsent result")
    key = (row["job_id"], row["attempt"])
    kept = _checked(key, row["result"], row["result_crc"])
    size = len(row["result"] or b"")
    return Kept(row_id, key, kept if isinstance(kept, Result) else None, row["parts_left"], size)


def _row(row: sqlite3.Row) -> Row:
    values = dict(row)
    for name in ("accepted_sent", "started_sent"):
        values[name] = bool(values[name])
    return Row(**values)
