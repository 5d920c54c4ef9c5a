"""The agent's durable store: custody, results, log text and settings on disk (DESIGN section 6)."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from zlib import crc32

from agent.changes import Changes
from agent.clock import Clock
from agent.database import Database, ReadFailed, WriteFailed, give_back
from agent.spool.blobs import Blobs
from agent.spool.budget import Bounds, Measured
from agent.spool.contents import Content, Contents
from agent.spool.folder import Folder
from agent.spool.key_note import adopted
from agent.spool.keys import STRETCH, Keys
from agent.spool.lifetime import Lifetime
from agent.spool.lifetime import read as read_lifetime
from agent.spool.recovery import open_database
from agent.spool.room import Room
from agent.spool.rows import Kept, Key, LogChunk, Row, Taken, owner_of, row_of
from agent.spool.script_states import ScriptStates
from agent.spool.sealing import Seal
from agent.spool.statements import SQL
from agent.wire.claims import Attempt, JobId
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result

HERE: Final = Path(__file__).parent
MIGRATIONS: Final = tuple(
    (HERE / name).read_text() for name in ("schema.sql", *(f"schema_{number}.sql" for number in range(2, 8)))
)

SEEN_FOR_S: Final = 90 * 86_400  # of running: the dedupe memory outlives the longest outage, at any clock
LIVED: Final = "lived_s"
SEALED_META: Final = frozenset({"enrolment"})  # it may hold the broker's password
LOG_CHUNK_CHARS: Final = 8 * 1024  # in one row, which leaves whole: what a result may have to wait for

T = TypeVar("T")


class Spool:
    """Every write returns after its fsync. Opened by `Spool.open`; `WriteFailed` means nothing was kept."""

    def __init__(
        self,
        folder: Folder,
        blobs: Blobs,
        database: Database,
        clock: Clock,
        bounds: Bounds | None = None,
        seal: Seal | None = None,
    ) -> None:
        self.folder = folder
        self.blobs = blobs
        self._database = database
        self._clock = clock
        self.seal = seal or Seal()
        self._contents = Contents(self.seal)
        self.keys = Keys(database)
        self.answers = database.answers
        self.script_states = ScriptStates(database, self._contents)
        self._lifetime = Lifetime(clock)
        self._may_have_unreported = True  # False spares the reporter a read for every event
        # Of this life and never used again, since a chunk may be told as sent twice: by a life of the link
        # that ended in mid-commit, and by the next one (I5).
        self._last_chunk_id = 0
        self.log_changes = Changes()  # one for every piece of log text kept
        self.room = Room(bounds or Bounds(), self._measure, folder.note_room)
        self.work_bytes = 0  # files of running jobs, as the watch saw them last
        self.bundle_bytes: Callable[[], int] = lambda: 0  # what is kept of what jobs import
        self._log_sizes: dict[int, int] = {}  # of the chunks that are being sent

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        bounds: Bounds | None = None,
        *,
        seal: Seal | None = None,
        damaged: bool = False,
    ) -> "Spool":
        """Lock the folder, mend what is damaged, and open. Raises `SpoolError`.

        `seal`: by the operator's key; None or one without a key leaves content as it is.
        `damaged`: the database was found so while it was used, so what can be read goes into a new one.
        """
        folder = Folder(path)
        try:
            own = adopted(folder.path, seal or Seal())
            database = await open_database(folder, MIGRATIONS, damaged=damaged)
        except BaseException:
            folder.release()
            raise
        database.may_use = folder.is_ours
        spool = cls(folder, Blobs(folder.blobs, own), database, clock, bounds, own)
        spool._lifetime = Lifetime(clock, read_lifetime(await spool.get_meta(LIVED)))
        return spool

    async def close(self) -> None:
        await self._database.close()
        self.folder.release()

    async def note_lifetime(self) -> None:
        """The dedupe memory counts in time that agents of this spool have run. Raises `WriteFailed`."""
        await self.set_meta(LIVED, str(self._lifetime.now_s()))

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

    async def hold(self, job: Job, body: bytes, state: str) -> Taken:
        """Take custody. On return the job survives a power cut (I3)."""
        remaining = None if job.lives_s is None else job.lives_s - job.age_s
        body = self._contents.close(body, Content.BODY, job.job_id, job.attempt)
        values = {
            "job_id": job.job_id, "attempt": job.attempt, "tag": job.tag, "state": state,
            "delivery": str(job.delivery), "priority": job.priority,
            "max_interruptions": job.max_interruptions, "remaining_s": remaining,
            "held_at": self._clock.wall_s(), "body": body, "body_crc": crc32(body), "bundle": job.bundle,
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
        packed = self._contents.close(pack([result]), Content.RESULT, *key)
        values = _of(key) | {
            "state": state, "result": packed, "result_crc": crc32(packed), "finished_at": result.finished_at,
            "parts_left": result.blob_parts,
        }  # fmt: skip
        return await self._execute("finish", [values]) > 0

    async def job(self, key: Key) -> Job | None:
        """The job as it was signed; None when its bytes are damaged or stand under another's key."""
        row = await self._database.read(lambda db: db.execute(SQL["body"], _of(key)).fetchone())
        kept = None if row is None else self._contents.message(key, row, Content.BODY)
        return kept if isinstance(kept, Job) else None

    async def result(self, key: Key) -> Result | None:
        """The kept result, sent or not; None when its bytes are damaged or there is none."""
        row = await self._database.read(lambda db: db.execute(SQL["result"], _of(key)).fetchone())
        kept = None if row is None else self._contents.message(key, row, Content.RESULT)
        return kept if isinstance(kept, Result) else None

    async def results(self, skip: Collection[int], most: int, most_bytes: int) -> list[Kept]:
        """The best results that may leave, without those rows; one at least, however large."""

        def look(db: sqlite3.Connection) -> list[Kept]:
            found: list[Kept] = []
            size = 0
            for (row_id,) in db.execute(SQL["ready_results"], {"most": most + len(skip)}):
                if row_id in skip:
                    continue
                kept = self._contents.kept(
                    row_id, db.execute(SQL["kept_result"], {"row_id": row_id}).fetchone()
                )
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
                return self._contents.kept(
                    row_id, db.execute(SQL["kept_result"], {"row_id": row_id}).fetchone()
                )
            return None

        return await self._database.read(look)

    async def parts_left(self, key: Key, left: int) -> bool:
        """Note how many parts of it are not confirmed. False: the result is not wanted any more."""
        return await self._execute("parts_left", [_of(key) | {"parts_left": left}]) > 0

    async def is_whole(self, result: Result) -> bool:
        """Whether the large document of a kept result is there and undamaged. It is not read into memory.

        Raises `ReadFailed` when the disk refuses everything, and not only these bytes.
        """
        owner = owner_of((result.job_id, result.attempt))
        return await self._of_document(lambda: self.blobs.is_whole(owner, result.blob_sha256), else_=False)

    async def part(self, result: Result, index: int) -> bytes:
        """One part of the large document of a kept result; empty when it is gone. Raises `ReadFailed`."""
        owner = owner_of((result.job_id, result.attempt))
        return await self._of_document(lambda: self.blobs.part(owner, index), else_=b"")

    async def open_rows(self) -> list[Row]:
        """What is not over, and what the bridge has not confirmed to have heard of; the oldest first."""
        rows = await self._database.read(lambda db: db.execute(SQL["open_rows"]).fetchall())
        return [row_of(row) for row in rows]

    async def row(self, key: Key) -> Row | None:
        found = await self._database.read(lambda db: db.execute(SQL["one_row"], _of(key)).fetchone())
        return None if found is None else row_of(found)

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

    @property
    def lived_s(self) -> float:
        """Seconds that agents of this spool have run."""
        return self._lifetime.now_s()

    async def sent(self, keys: Sequence[Key], state: str) -> int:
        """Note that the broker has confirmed these results. How many of them waited for that."""
        lived_s = self._lifetime.now_s()

        def write(db: sqlite3.Connection) -> int:
            db.execute(SQL["set_meta"], {"key": LIVED, "value": str(lived_s)})
            values = {"state": state, "sent_at": lived_s}
            return db.executemany(SQL["sent"], [_of(key) | values for key in keys]).rowcount

        return await self._database.write(write)

    async def oldest_sent_s(self) -> float | None:
        """Seconds since the broker confirmed the result that has waited longest for its receipt."""
        row = await self._database.read(lambda db: db.execute(SQL["oldest_sent"]).fetchone())
        sent_at = row["sent_at"]
        return self._lifetime.now_s() - sent_at if isinstance(sent_at, float) else None

    async def missed(self, before_s: float, state: str, most: int) -> int:
        """Move results that were confirmed before then (`lived_s`) back to `state`. How many it were."""
        return await self._execute("missed", [{"before": before_s, "state": state, "most": most}])

    async def forget(self, keys: Sequence[Key], *, keep_log: bool) -> dict[Key, str]:
        """Let go of these rows and remember that they were here. The blobs go after the commit.

        The states of those that were here.
        """
        lived_s = self._lifetime.now_s()

        def delete(db: sqlite3.Connection) -> dict[Key, str]:
            gone = {}
            db.execute(SQL["set_meta"], {"key": LIVED, "value": str(lived_s)})
            for key in keys:
                row = db.execute(SQL["forget"], _of(key)).fetchone()
                if row is None:
                    continue
                gone[key] = row["state"]
                db.execute(SQL["remember"], _of(key) | {"at": lived_s})
                if not keep_log:
                    dropped = db.execute(SQL["forget_log"], _of(key)).fetchall()
                    self.room.count_log(-sum(piece["size"] for piece in dropped))
            give_back(db)
            return gone

        gone = await self._database.write(delete)
        for key in gone:
            self.blobs.drop(owner_of(key))
        return gone

    async def prune_seen(self, after: Key, most: int) -> Key | None:
        """Take what is too old out of a stretch of the dedupe memory. Its last key; None at the end."""
        before = self._lifetime.now_s() - SEEN_FOR_S
        values = _of(after) | {"most": most}
        rows = await self._database.read(lambda db: db.execute(SQL["seen_after"], values).fetchall())
        if old := [_of((row["job_id"], row["attempt"])) for row in rows if row["at"] < before]:
            await self._execute("drop_seen", old)
        return (rows[-1]["job_id"], rows[-1]["attempt"]) if len(rows) == most else None

    async def add_log(self, key: Key, offset: int, text: str) -> None:
        """Keep log text; `offset` counts the characters of this attempt before it (I5)."""

        def insert(db: sqlite3.Connection) -> int:
            kept_size = 0
            chunk_id = max(self._last_chunk_id, db.execute(SQL["last_log"]).fetchone()["id"])
            for start in range(0, len(text), LOG_CHUNK_CHARS):
                chunk_id += 1
                piece = text[start : start + LOG_CHUNK_CHARS]
                kept = self._contents.close_text(piece, Content.LOG, *key, offset + start)
                kept_size += len(kept)
                values = {"id": chunk_id, "start": offset + start, "text": kept}
                db.execute(SQL["add_log"], _of(key) | values)
            self._last_chunk_id = chunk_id
            db.execute(SQL["log_length"], _of(key) | {"log_chars": offset + len(text)})
            return kept_size

        self.room.count_log(await self._database.write(insert))
        self.log_changes.note()

    async def pending_log(self, most: int) -> list[LogChunk]:
        """The oldest text that has not been sent, at most `most` chunks."""
        rows = await self._database.read(lambda db: db.execute(SQL["pending_log"], {"most": most}).fetchall())
        self._log_sizes = {row["id"]: len(row["text"]) for row in rows}
        return [self._contents.chunk(row) for row in rows]

    async def log_sent(self, chunk_ids: Sequence[int]) -> None:
        await self._execute("log_sent", [{"id": chunk_id} for chunk_id in chunk_ids])
        self.room.count_log(-sum(self._log_sizes.get(chunk_id, 0) for chunk_id in chunk_ids))

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
        return None if row is None else self._contents.open_text(row["value"], Content.META, key)

    async def set_meta(self, key: str, value: str) -> None:
        kept = self._contents.close_text(value, Content.META, key) if key in SEALED_META else value
        await self._execute("set_meta", [{"key": key, "value": kept}])

    async def quarantine(self, key: Key, what: str) -> str | None:
        """Take a damaged row out of the way: the rest is delivered, this one waits for a person.

        The state it had; None when its receipt came in this moment: it is gone because it is recorded.
        """
        now = self._clock.wall_s()

        def move(db: sqlite3.Connection) -> str | None:
            row = db.execute(SQL["body"], _of(key)).fetchone()
            if row is None:
                return None
            values = _of(key) | {"at": now, "what": what, "bytes": row["body"], "crc": row["body_crc"]}
            db.execute(SQL["quarantine"], values)
            return str(db.execute(SQL["forget"], _of(key)).fetchone()["state"])

        state = await self._database.write(move)
        self._may_have_unreported = True
        return state

    async def drop_result(self, key: Key, state: str) -> bool:
        """False: there is no such result any more."""
        return await self._execute("drop_result", [_of(key) | {"state": state}]) > 0

    async def _of_document(self, read: Callable[[], T], *, else_: T) -> T:
        try:
            return await asyncio.to_thread(read)
        except OSError as error:
            if self.folder.fault() is None:
                return else_  # a bad sector: the rest of the disk works
            raise ReadFailed(f"cannot read a document of the spool: {error}") from error

    async def take_stock(self) -> None:
        """Begin the counts of what is kept, and drop the documents whose rows went in the moment of a crash.

        Beside the work: a start never waits for it. Until then the quota knows only of what came since.
        """
        names = await asyncio.to_thread(self.blobs.names)  # before the owners
        wanted: set[str] = set()
        after: Key | None = (JobId(""), Attempt(0))
        while names and after is not None:
            keys = await self.keys.after(after, STRETCH)
            wanted |= await asyncio.to_thread(self.blobs.names_of, [owner_of(key) for key in keys])
            after = keys[-1] if len(keys) == STRETCH else None
        await asyncio.to_thread(self.blobs.sweep, names, wanted)
        kept = await self._database.write(lambda db: db.execute(SQL["log_size"]).fetchone())
        self.room.log_bytes = kept["size"]

    def _measure(self) -> Measured:
        used = self._database.used_bytes + self.blobs.used_bytes + self.work_bytes + self.bundle_bytes()
        return Measured(used=used, free=self.folder.free_bytes())

    async def _execute(self, name: str, values: Sequence[Mapping[str, Any]]) -> int:
        """How many rows it changed."""
        return await self._database.write(lambda db: db.executemany(SQL[name], values).rowcount)

    def _to_blob(self, result: Result) -> Result:
        name = self.blobs.put(owner_of((result.job_id, result.attempt)), result.document)
        parts = -(-len(result.document) // BLOB_PART_BYTES)
        return replace(result, document=b"", blob_sha256=name, blob_parts=parts)


def _of(key: Key) -> dict[str, Any]:
    return {"job_id": key[0], "attempt": key[1]}
