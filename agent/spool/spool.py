"""The agent's durable store: custody, results, log text and settings on disk (DESIGN section 6)."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from agent.changes import Changes
from agent.clock import Clock
from agent.database import Database, ReadFailed, WriteFailed, queries
from agent.spool.blobs import Blobs
from agent.spool.budget import Bounds, Measured
from agent.spool.folder import Folder
from agent.spool.lifetime import Lifetime
from agent.spool.lifetime import read as read_lifetime
from agent.spool.recovery import open_database
from agent.spool.room import Room
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack, unpack
from agent.wire.messages import Job, Result

HERE: Final = Path(__file__).parent
MIGRATIONS: Final = tuple((HERE / name).read_text() for name in ("schema.sql", "lived.sql", "schema_3.sql"))
SQL: Final[Mapping[str, str]] = queries(HERE / "spool.sql")

GIVE_BACK_PAGES: Final = 512  # at most so many at once; fewer are kept for the next job
SEEN_FOR_S: Final = 90 * 86_400  # of running: the dedupe memory outlives the longest outage, at any clock
LIVED: Final = "lived_s"

Key = tuple[JobId, Attempt]


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
class LogChunk:
    chunk_id: int
    key: Key
    offset: int
    text: str


class Spool:
    """Every write returns after its fsync. Opened by `Spool.open`; `WriteFailed` means nothing was kept."""

    def __init__(
        self, folder: Folder, blobs: Blobs, database: Database, clock: Clock, bounds: Bounds | None = None
    ) -> None:
        self.folder = folder
        self.blobs = blobs
        self._database = database
        self._clock = clock
        self._lifetime = Lifetime(clock)
        self._may_have_unreported = True  # False spares the reporter a read for every event
        self.log_changes = Changes()  # one for every piece of log text kept
        self.room = Room(bounds or Bounds(), self._measure, folder.note_room)
        self.work_bytes = 0  # files of running jobs, as the watch saw them last
        self._log_sizes: dict[int, int] = {}  # of the chunks that are being sent

    @classmethod
    async def open(cls, path: Path, clock: Clock, bounds: Bounds | None = None) -> "Spool":
        """Lock the folder, mend what is damaged, and open. Raises `SpoolError`."""
        folder = Folder(path)
        try:
            database = await open_database(folder, MIGRATIONS)
        except BaseException:
            folder.release()
            raise
        database.may_use = folder.is_ours
        spool = cls(folder, Blobs(folder.blobs), database, clock, bounds)
        spool._lifetime = Lifetime(clock, read_lifetime(await spool.get_meta(LIVED)))
        with contextlib.suppress(WriteFailed):  # a full disk: it is pruned another time
            await spool.prune()
            await spool._take_stock()
        return spool

    async def close(self) -> None:
        await self._database.close()
        self.folder.release()

    async def prune(self) -> None:
        """Forget what was brought to its end long ago (I6). Raises `WriteFailed`."""
        await self.set_meta(LIVED, str(self._lifetime.now_s()))
        await self._execute("prune_seen", [{"before": self._lifetime.now_s() - SEEN_FOR_S}])

    def has_room(self) -> bool:
        return self.room.may_take()  # I6

    async def is_writable(self) -> bool:
        """Whether commits succeed; after a refusal it tries one."""
        if not self._database.failing:
            return True
        try:
            await self.set_meta("probe", "")
        except WriteFailed:
            return False
        return True

    async def hold(self, job: Job, body: bytes, state: str) -> bool:
        """Take custody. On return the job survives a power cut (I3). False: it was here before."""
        remaining = None if job.lives_s is None else job.lives_s - job.age_s
        values = {
            "job_id": job.job_id, "attempt": job.attempt, "tag": job.tag, "state": state,
            "delivery": str(job.delivery), "priority": job.priority,
            "max_interruptions": job.max_interruptions, "remaining_s": remaining,
            "held_at": self._clock.wall_s(), "body": body, "body_crc": crc32(body),
        }  # fmt: skip

        def insert(db: sqlite3.Connection) -> bool:
            if db.execute(SQL["hold"], values).rowcount:
                return True
            db.execute(SQL["reannounce"], values)
            return False

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
    ) -> None:
        values = _of(key) | {
            "state": state, "interruptions": interruptions, "started_at": started_at,
            "canceled_by": canceled_by, "cancel_reason": cancel_reason,
        }  # fmt: skip
        await self._execute("move", [values])

    async def finish(self, key: Key, state: str, result: Result) -> None:
        """Keep the result: large documents in a blob first, then state and result in one commit (I3)."""
        if len(result.document) > BLOB_PART_BYTES:
            result = await asyncio.to_thread(self._to_blob, result)
        packed = pack([result])
        values = _of(key) | {
            "state": state, "result": packed, "result_crc": crc32(packed), "finished_at": result.finished_at,
        }  # fmt: skip
        await self._execute("finish", [values])

    async def job(self, key: Key) -> Job | None:
        """The job as it was signed; None when its bytes are damaged (it is then in quarantine)."""
        kept = await self._checked(key, "body")
        return kept if isinstance(kept, Job) else None

    async def result(self, key: Key) -> Result | None:
        """The kept result; None when its bytes are damaged (it is then in quarantine)."""
        kept = await self._checked(key, "result")
        return kept if isinstance(kept, Result) else None

    def document(self, result: Result) -> bytes | None:
        """The large document of a kept result; None when it is gone or damaged. Blocks on the disk.

        Raises `ReadFailed` when the disk refuses everything, and not only these bytes.
        """
        try:
            return self.blobs.get(_owner((result.job_id, result.attempt)), result.blob_sha256)
        except OSError as error:
            if self.folder.fault() is None:
                return None  # a bad sector: the rest of the disk works
            raise ReadFailed(f"cannot read a document of the spool: {error}") from error

    async def held(self) -> list[Row]:
        rows = await self._database.read(lambda db: db.execute(SQL["all_held"]).fetchall())
        return [_row(row) for row in rows]

    async def mark(self, what: str, keys: Sequence[Key]) -> None:
        """Note that `what` ("accepted_sent" or "started_sent") has been confirmed by the broker."""
        await self._execute(what, [_of(key) for key in keys])

    async def sent(self, keys: Sequence[Key], state: str) -> None:
        """Note that the broker has confirmed these results."""
        await self._execute("sent", [_of(key) | {"state": state} for key in keys])

    async def forget(self, keys: Sequence[Key], *, keep_log: bool) -> None:
        """Let go of these rows and remember that they were here. The blob goes after the commit."""
        lived_s = self._lifetime.now_s()

        def delete(db: sqlite3.Connection) -> None:
            db.execute(SQL["set_meta"], {"key": LIVED, "value": str(lived_s)})
            for key in keys:
                db.execute(SQL["forget"], _of(key))
                db.execute(SQL["remember"], _of(key) | {"at": lived_s})
                if not keep_log:
                    gone = db.execute(SQL["forget_log"], _of(key)).fetchall()
                    self.room.count_log(-sum(row["size"] for row in gone))
            give_back(db)

        await self._database.write(delete)
        for key in keys:
            self.blobs.drop(_owner(key))

    async def add_log(self, key: Key, offset: int, text: str) -> None:
        """Keep log text; `offset` counts the characters of this attempt before it (I5)."""

        def insert(db: sqlite3.Connection) -> None:
            db.execute(SQL["add_log"], _of(key) | {"start": offset, "text": text})
            db.execute(SQL["log_length"], _of(key) | {"log_chars": offset + len(text)})

        await self._database.write(insert)
        self.room.count_log(len(text))
        self.log_changes.note()

    async def pending_log(self, most: int) -> list[LogChunk]:
        """The oldest text that has not been sent, at most `most` chunks."""
        rows = await self._database.read(lambda db: db.execute(SQL["pending_log"], {"most": most}).fetchall())
        self._log_sizes = {row["id"]: len(row["text"]) for row in rows}
        return [
            LogChunk(row["id"], (row["job_id"], row["attempt"]), row["start"], row["text"]) for row in rows
        ]

    async def log_sent(self, chunk_ids: Sequence[int]) -> None:
        await self._execute("log_sent", [{"id": chunk_id} for chunk_id in chunk_ids])
        self.room.count_log(-sum(self._log_sizes.get(chunk_id, 0) for chunk_id in chunk_ids))

    async def quarantined_keys(self) -> set[Key]:
        rows = await self._database.read(lambda db: db.execute(SQL["quarantined_keys"]).fetchall())
        return {(row["job_id"], row["attempt"]) for row in rows}

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

    async def quarantine(self, key: Key, what: str) -> None:
        """Take a damaged row out of the way: the rest is delivered, this one waits for a person."""
        now = self._clock.wall_s()

        def move(db: sqlite3.Connection) -> None:
            row = db.execute(SQL["body"], _of(key)).fetchone()
            if row is None:
                return  # its receipt came in this moment: it is gone because it is recorded
            values = _of(key) | {"at": now, "what": what, "bytes": row["body"], "crc": row["body_crc"]}
            db.execute(SQL["quarantine"], values)
            db.execute(SQL["forget"], _of(key))

        await self._database.write(move)
        self._may_have_unreported = True

    async def drop_result(self, key: Key, state: str) -> None:
        await self._execute("drop_result", [_of(key) | {"state": state}])

    def _measure(self) -> Measured:
        used = self._database.used_bytes + self.blobs.used_bytes + self.work_bytes
        return Measured(used=used, free=self.folder.free_bytes())

    async def _take_stock(self) -> None:
        """Begin the counts, and drop the documents whose rows went in the moment of a crash."""
        names = await asyncio.to_thread(self.blobs.names)  # before the owners
        owners: set[str] = set()
        if names:
            rows = await self._database.read(lambda db: db.execute(SQL["keys"]).fetchall())
            owners = {_owner((row["job_id"], row["attempt"])) for row in rows}
        await asyncio.to_thread(self.blobs.sweep, names, owners)
        kept = await self._database.read(lambda db: db.execute(SQL["log_size"]).fetchone())
        self.room.count_log(kept["size"])

    async def _checked(self, key: Key, column: str) -> Job | Result | None:
        """What this column holds. None when its bytes are damaged, or the row stands under another's key."""
        row = await self._database.read(lambda db: db.execute(SQL[column], _of(key)).fetchone())
        if row is None or row[0] is None or crc32(row[0]) != row[1]:
            return None
        (kept,) = unpack(row[0])
        return kept if isinstance(kept, Job | Result) and (kept.job_id, kept.attempt) == key else None

    async def _execute(self, name: str, values: Sequence[Mapping[str, Any]]) -> None:
        await self._database.write(lambda db: db.executemany(SQL[name], values) and None)

    def _to_blob(self, result: Result) -> Result:
        name = self.blobs.put(_owner((result.job_id, result.attempt)), result.document)
        parts = -(-len(result.document) // BLOB_PART_BYTES)
        return replace(result, document=b"", blob_sha256=name, blob_parts=parts)


def give_back(db: sqlite3.Connection) -> None:
    """Return free pages to the disk once most of the file is free: then each page costs one move at most."""
    pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    if free > max(GIVE_BACK_PAGES, pages // 2):
        for _ in range(GIVE_BACK_PAGES):
            db.execute("PRAGMA incremental_vacuum(1)")  # Python takes one step only, so one page a call


def _of(key: Key) -> dict[str, Any]:
    return {"job_id": key[0], "attempt": key[1]}


def _owner(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _row(row: sqlite3.Row) -> Row:
    values = dict(row)
    for name in ("accepted_sent", "started_sent"):
        values[name] = bool(values[name])
    return Row(**values)
