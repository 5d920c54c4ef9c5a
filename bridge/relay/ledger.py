"""The bridge's durable record of custody: who holds which job, and who was told what (DESIGN section 3)."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent.clock import Clock
from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from agent.wire.messages import Blob, Delivery, Result
from bridge.relay.held_back import HeldBack
from bridge.relay.languages import Abilities, abilities, listed
from bridge.relay.policy import Replace
from bridge.relay.presence import Presence
from bridge.relay.shelf import Shelf
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("ledger.sql"))

CLOSED_KEPT_S: Final = 90 * 86_400.0  # longer than the longest outage

Key = tuple[JobId, Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """One row: an attempt of a job that this bridge answers for."""

    job_id: JobId
    attempt: Attempt
    workspace: str
    tag: Tag
    token: str
    job_json: str
    state: str = "taken"  # taken, published, accepted, closed
    custodian: WorkerName | None = None
    started_at: float | None = None
    cancel_sent: str | None = None
    lost_after_s: float | None = None  # the job's own wish; None leaves it to its tag
    replace: Replace | None = None
    not_after: float | None = None  # wall seconds of this bridge
    published_at: float | None = None  # wall seconds of this bridge
    distrusted: int = 0  # its custodian's token was revoked
    directed_to: WorkerName | None = None  # it was sent to this agent alone

    @property
    def is_open(self) -> bool:
        return self.state != "closed"


class Ledger:
    """Every write returns after its fsync."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.presence: Final = Presence(store, clock)
        self.shelf: Final = Shelf(store, clock)
        self.room = asyncio.Event()  # there may be more to publish or to pull; the dispatcher clears it
        self.held_back: Final = HeldBack(store, clock, self.room)
        self._abilities: Abilities | None = None  # None: somebody came since they were read
        self._comings = 0

    async def next_attempt(self, job_id: JobId) -> Attempt | None:
        """The number of a new dispatch, or None when the job is out already."""
        values = {"job_id": job_id}

        def look(db: Connection) -> Attempt | None:
            if db.execute(SQL["open_attempt"], values).fetchone():
                return None
            return Attempt(db.execute(SQL["last_attempt"], values).fetchone()["attempt"] + 1)

        return await self._store.read(look)

    async def take(self, custody: Custody, body: bytes) -> None:
        """Hop 1: on return this bridge answers for the job (I1)."""
        await self._execute("take", asdict(custody) | {"body": body})

    async def unpublished(self, most: int) -> list[tuple[Key, str, Tag, bytes]]:
        rows = await self._fetch("unpublished", {"most": most})
        return [((row["job_id"], row["attempt"]), row["workspace"], row["tag"], row["body"]) for row in rows]

    async def published(self, key: Key) -> None:
        await self._execute("published", _of(key))

    async def publish_again(self, tag: Tag) -> int:
        """How many jobs go out again (I1). A second copy of one that was taken is fenced as ever."""
        jobs = await self._store.write(lambda db: db.execute(SQL["publish_again"], {"tag": tag}).rowcount)
        self.room.set()
        return jobs

    async def accept(self, key: Key, worker: WorkerName) -> Delivery | None:
        """The job's delivery if `worker` is the custodian of this attempt (I1, I2), else None."""
        values = _of(key) | {"worker": worker, "now": self._clock.wall_s()}
        row = await self._store.write(lambda db: db.execute(SQL["accept"], values).fetchone())
        if row is None:
            return None
        self.room.set()
        return Delivery(json.loads(row["job_json"] or "{}").get("delivery") or Delivery.AT_LEAST_ONCE)

    async def refuse(self, key: Key, by: str) -> bool:
        """Whether nobody holds this attempt; from now on nobody can. False: it has a custodian (I7)."""
        values = _of(key) | {"by": by}
        row = await self._store.write(lambda db: db.execute(SQL["refuse"], values).fetchone())
        return row is not None

    async def started(self, key: Key, started_at: float) -> None:
        await self._execute("started", _of(key) | {"started_at": started_at})

    async def find(self, key: Key) -> Custody | None:
        """The open row of the job if there is one, else this attempt's, else its last."""
        rows = await self._fetch("find", _of(key))
        return _custody(rows[0]) if rows else None

    async def attempt(self, key: Key) -> Custody | None:
        """This attempt's row, open or closed; None when another attempt's result was the one recorded."""
        rows = await self._fetch("attempt", _of(key))
        return _custody(rows[0]) if rows else None

    async def close(self, key: Key, outcome: str, ran: Result | None = None) -> None:
        """Hop 6: the cluster has recorded the job, so custody ends. `ran`: what an agent told of its run."""
        await self._end("close", _of(key) | {
            "outcome": outcome,
            "started_at": None if ran is None else ran.started_at,
            "finished_while_down": int(ran is not None and ran.finished_while_down),
            "finished_at": None if ran is None else ran.finished_at,
            "clock_offset_ms": None if ran is None else ran.clock_offset_ms,
        })  # fmt: skip
        if ran is None:  # it may have waited in the broker still
            self.room.set()

    async def expired(self, state: str, before: float) -> list[Custody]:
        """Rows in this state (taken, published) whose `not_after` is before that."""
        return [_custody(row) for row in await self._fetch("expired", {"state": state, "before": before})]

    async def set_body(self, key: Key, body: bytes) -> None:
        """What is published now instead of what was taken."""
        await self._execute("set_body", _of(key) | {"body": body})

    async def close_elsewhere(self, key: Key) -> None:
        """The cluster says that somebody else ended it."""
        await self._end("close_elsewhere", _of(key))
        self.room.set()

    async def _end(self, name: str, values: Mapping[str, Any]) -> None:
        """The parts of its documents go with it (I6)."""
        with_now = {"now": self._clock.wall_s(), **values}

        def write(db: Connection) -> None:
            db.execute(SQL[name], with_now)
            db.execute(SQL["drop_parts"], with_now)

        await self._store.write(write)

    async def replace(self, custody: Custody, body: bytes) -> None:
        """Give this attempt up and take the next one, whose signed bytes are `body`, in one commit (I1)."""
        values = asdict(custody) | {
            "custodian": custody.custodian or "", "body": body, "now": self._clock.wall_s(),
        }  # fmt: skip

        def write(db: Connection) -> None:
            if db.execute(SQL["take_next"], values).rowcount:
                db.execute(SQL["give_up"], values)

        await self._store.write(write)
        self.room.set()

    async def body(self, key: Key) -> bytes | None:
        """What was signed; None once the attempt is over."""
        rows = await self._fetch("body", _of(key))
        return rows[0]["body"] if rows else None

    async def to_revoke(self, worker: WorkerName, most: int) -> list[tuple[Key, bool]]:
        """Attempts that `worker` lost and has not been told of, and whether the job is over by now."""
        rows = await self._fetch("to_revoke", {"worker": worker, "most": most})
        return [((row["job_id"], row["attempt"]), bool(row["over"])) for row in rows]

    async def who_to_revoke(self) -> list[WorkerName]:
        """The custodians for whom `to_revoke` has something."""
        return [row["custodian"] for row in await self._fetch("who_to_revoke", {})]

    async def note_revoked(self, key: Key, *, over: bool) -> None:
        await self._execute("note_revoked", _of(key) | {"told": "over" if over else "superseded"})

    async def held_by(self, worker: WorkerName, before: float, after: Key, most: int) -> list[Key]:
        """Attempts that `worker` accepted `before` then and whose keys come `after` this one, in order."""
        values = _of(after) | {"worker": worker, "before": before, "most": most}
        rows = await self._fetch("held_by", values)
        return [(row["job_id"], row["attempt"]) for row in rows]

    async def concerns(self, key: Key, worker: WorkerName) -> bool:
        """Whether `worker` has a word to say about this attempt (I4)."""
        return bool(await self._fetch("concerns", _of(key) | {"worker": worker}))

    async def distrust(self, worker: WorkerName) -> None:
        """What it holds, or was taken from it, it may no longer end."""
        await self._execute("distrust", {"worker": worker})

    async def is_distrusted(self, key: Key, worker: WorkerName) -> bool:
        rows = await self._fetch("is_distrusted", _of(key) | {"worker": worker})
        return any(row["distrusted"] for row in rows)

    async def had(self, job_id: JobId, worker: WorkerName, attempt: Attempt | None = None) -> Attempt | None:
        """The last attempt that `worker` was the custodian of, or the one that is named; None: there is none.

        One whose result was recorded does not count.
        """
        rows = await self._fetch("had", {"job_id": job_id, "worker": worker, "attempt": attempt})
        found: Attempt | None = rows[0]["attempt"]
        return found

    async def late(self, key: Key) -> None:
        await self._execute("late", _of(key))

    async def in_custody(self) -> list[Custody]:
        return [_custody(row) for row in await self._fetch("in_custody", {})]

    async def waiting(self) -> dict[Tag, int]:
        return {row["tag"]: row["jobs"] for row in await self._fetch("waiting", {})}

    async def cancel_sent(self, key: Key, by: str) -> None:
        await self._execute("cancel_sent", _of(key) | {"by": by})

    async def tell_cancels_again(self, worker: WorkerName, before: float) -> None:
        """Of what `worker` accepted `before` then."""
        await self._execute("tell_cancels_again", {"worker": worker, "before": before})

    async def log_chars(self, key: Key, worker: WorkerName) -> int:
        """Characters of this attempt's log that `worker` has brought."""
        rows = await self._fetch("log_chars", _of(key) | {"worker": worker})
        return rows[0]["chars"] if rows else 0

    async def log_moved(self, key: Key, worker: WorkerName, chars: int) -> None:
        await self._execute("log_moved", _of(key) | {"worker": worker, "chars": chars})

    async def prune(self) -> None:
        """Forget what was closed long ago (I6). Too early is harmless: the cluster keeps the first result."""
        before = {"before": self._clock.wall_s() - CLOSED_KEPT_S}
        await self._execute("restamp", {})
        await self._execute("prune", before)
        await self._execute("prune_log_progress", {})
        await self._execute("prune_parts", before)

    async def add_part(self, blob: Blob) -> None:
        await self._execute("add_part", {
            "job_id": blob.job_id, "sha256": blob.sha256,
            "index": blob.index, "of": blob.of, "part": blob.part,
        })  # fmt: skip

    async def assemble(self, job_id: JobId, sha256: str) -> bytes | None:
        """The whole document, or None while parts are missing or do not add up."""
        rows = await self._fetch("parts", {"job_id": job_id, "sha256": sha256})
        data = b"".join(row["part"] for row in rows)
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    async def enrol(
        self,
        claims: Claims,
        version: str,
        slots: int,
        clock_offset_ms: int | None = None,
        token_id: str | None = None,
        platform: Mapping[str, str] | None = None,
        languages: Sequence[str] | None = None,
    ) -> None:
        await self._execute("enrol", {
            "worker": claims.worker, "worker_group": claims.worker_group,
            "tags": json.dumps(sorted(claims.tags)), "version": version, "slots": slots,
            "clock_offset_ms": clock_offset_ms, "token_id": token_id, "languages": listed(languages),
            "platform": json.dumps(dict(platform)) if platform else None,
        })  # fmt: skip
        self.agent_came()

    def agent_came(self) -> None:
        """One has enrolled, here or with another bridge: there may be a tag that nobody served before."""
        self._abilities = None
        self._comings += 1
        self.room.set()

    async def renewals(self, most: int) -> tuple[list[str], list[WorkerName]]:
        """The ids of the keys, the newest first; agents that should enrol again and have not been told."""

        def look(db: Connection) -> tuple[list[str], list[WorkerName]]:
            kids = [row["kid"] for row in db.execute(SQL["key_ids"])]
            return kids, [row["worker"] for row in db.execute(SQL["to_renew"], {"most": most})]

        return await self._store.read(look)

    async def told_to_renew(self, worker: WorkerName) -> None:
        await self._execute("told_to_renew", {"worker": worker})

    async def heard(
        self,
        worker: WorkerName,
        *,
        held: int | None = None,
        backlog: int | None = None,
        clock_offset_ms: int | None = None,
        left: bool = False,
    ) -> None:
        self.presence.forget(worker)
        await self._execute("heard", {
            "worker": worker, "held": held, "backlog": backlog, "clock_offset_ms": clock_offset_ms,
            "left_at": self._clock.wall_s() if left else None,
        })  # fmt: skip

    async def last_heard(self) -> dict[WorkerName, float]:
        """When each agent was heard of, in wall seconds."""
        await self.presence.record()
        return {row["worker"]: row["last_heard"] for row in await self._fetch("last_heard", {})}

    async def shared_tags(self, worker: WorkerName, tags: Iterable[Tag]) -> frozenset[Tag]:
        """Those of `tags` that other agents serve too."""
        values = {"worker": worker, "tags": json.dumps(sorted(tags))}
        return frozenset(row["tag"] for row in await self._fetch("shared_tags", values))

    async def agents(self) -> list[dict[str, Any]]:
        await self.presence.record()
        rows = [dict(row) for row in await self._fetch("agents", {})]
        return [row | {"tags": json.loads(row["tags"])} for row in rows]

    async def note_languages(self, worker: WorkerName, languages: Sequence[str]) -> None:
        """It is there, and says so of itself: it may have enrolled from what it remembers."""
        await self._execute("note_languages", {"worker": worker, "languages": listed(languages)})

    async def cannot_run(self, worker: WorkerName, language: str) -> None:
        """It has told so, whatever it said when it enrolled: nothing is to go to it again and again."""
        rows = await self._fetch("languages_of", {"worker": worker})
        known = [one for row in rows for one in json.loads(row["languages"] or "[]")]
        if language in known:
            await self.note_languages(worker, [one for one in known if one != language])
            self.agent_came()

    async def abilities(self) -> Abilities:
        """The tags of all enrolled agents, and what these run. Read again only when one came."""
        while self._abilities is None:
            comings = self._comings
            rows = await self._fetch("abilities", {})
            told = ((json.loads(row["tags"]), json.loads(row["languages"] or "null")) for row in rows)
            known = abilities(told)
            if comings == self._comings:  # else that reading may have been too early
                self._abilities = known
        return self._abilities

    async def custody(self) -> list[dict[str, Any]]:
        """Every row, for people: where each job is."""
        return [dict(row) for row in await self._fetch("custody", {})]

    async def keys(self) -> dict[str, bytes]:
        """Key id → private key (32 raw bytes) of those that are not retired, the newest first."""
        return {row["kid"]: row["private"] for row in await self._fetch("keys", {})}

    async def introductions(self, most: int) -> list[str]:
        """Of newer keys by older ones, the oldest first."""
        rows = await self._fetch("introductions", {"most": most})
        return [row["introduction"] for row in reversed(rows)]

    async def add_first_key(self, kid: str, private: bytes) -> None:
        """Unless there is one: bridges that start in the same moment sign with the same key."""
        values = {"kid": kid, "private": private, "introduction": None, "now": self._clock.wall_s()}

        def write(db: Connection) -> None:
            if not db.execute(SQL["keys"]).fetchall():
                db.execute(SQL["add_key"], values)

        await self._store.write(write)

    async def add_key(self, kid: str, private: bytes, introduction: str | None = None) -> None:
        await self._execute("add_key", {"kid": kid, "private": private, "introduction": introduction})

    async def retire_key(self, kid: str) -> bool:
        """No agent that enrols from now on trusts it, and all are to. False: it is the last one, or none."""
        values = {"kid": kid, "nothing": b"", "now": self._clock.wall_s()}

        def retire(db: Connection) -> bool:
            if not db.execute(SQL["retire_key"], values).rowcount:
                return False
            db.execute(SQL["renew_all"])
            return True

        return await self._store.write(retire)

    async def _execute(self, name: str, values: Mapping[str, Any]) -> None:
        with_now = {"now": self._clock.wall_s(), **values}
        await self._store.write(lambda db: db.execute(SQL[name], with_now).rowcount)

    async def _fetch(self, name: str, values: Mapping[str, Any]) -> Sequence[Row]:
        return await self._store.read(lambda db: db.execute(SQL[name], values).fetchall())


def _of(key: Key) -> dict[str, Any]:
    return {"job_id": key[0], "attempt": key[1]}


def _custody(row: Row) -> Custody:
    values = dict(row)
    wish = values.pop("replace")
    return Custody(**values, replace=None if wish is None else Replace(wish))
