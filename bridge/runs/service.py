"""Reads what the pages show of jobs: lists of them, one of them, and the facts about its custody."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agent.clock import Clock
from agent.wire.bundles import bundle_of
from agent.wire.claims import Tag
from agent.wire.messages import Delivery
from bridge.errors import NotFound
from bridge.fleet.service import Fleets
from bridge.jobs import joblog
from bridge.jobs.heartbeats import Heartbeats
from bridge.relay.policy import Policies, Replace
from bridge.runs.facts import attempt_of, job_of, may_serve, server_of
from bridge.runs.model import Facts, Supply, Way, Where
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("runs.sql"))

PER_PAGE: Final = 50
SUPPLY_FRESH_S: Final = 180.0  # who fetches says how far it is more often
SCAN_MAX: Final = 10_000  # jobs that one page of a filtered list looks at
SHOWN_MAX_CHARS: Final = 128 * 1024  # of arguments, code and result; the API has the whole
TAIL_CHARS: Final = 64 * 1024  # of a log, at first
PIECE_CHARS: Final = 64 * 1024  # of a log, at a time; what is more is left out, and said
FAR: Final = 1e12  # seconds: later than any job
QUEUED: Final = {
    "open": None,
    "waiting": "ready",
    "scheduled": "later",
    "out": "running",
}  # → the queue's word
STATES: Final = (*QUEUED, "success", "failure", "canceled")

Carrying = Callable[[], Way]  # how the way to the sites stands now, but for what waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs; empty: all, but for steps of flows. `steps`: these too.

    `before`: the last one of the page before, as `<created_at>~<id>`.
    """

    workspace: str
    state: str = ""
    tag: str = ""
    path: str = ""
    worker: str = ""
    created_by: str = ""
    steps: str = ""
    before: str = ""

    @property
    def with_steps(self) -> bool:
        """Steps of flows stand on their flow's page, and here where somebody looks for them."""
        return bool(self.steps or self.tag or self.path or self.worker)


@dataclass(frozen=True, slots=True)
class Listed:
    """`older`: where the next page begins, or empty; `looked_through`: what was looked at, if not all."""

    runs: Sequence[Mapping[str, Any]]
    older: str
    looked_through: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """The beginning of a text that may be huge."""

    text: str
    chars: int

    @property
    def is_cut(self) -> bool:
        return self.chars > len(self.text)


@dataclass(frozen=True, slots=True)
class LogPiece:
    """`start`: characters before it; more than were asked for when some are left out."""

    text: str
    start: int
    end: int


class Runs:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        heartbeats: Heartbeats,
        policies: Policies,
        fleets: Fleets,
        carrying: Carrying,
        *,
        per_page: int = PER_PAGE,
        scan: int = SCAN_MAX,
    ) -> None:
        self._per_page = per_page
        self._scan = scan
        self._store = store
        self._clock = clock
        self._heartbeats = heartbeats
        self._policies = policies
        self._fleets = fleets
        self._carrying = carrying

    async def workspaces(self) -> list[str]:
        """`main` first."""
        rows = await self._store.read(lambda db: db.execute(SQL["workspaces"]).fetchall())
        return [row["id"] for row in rows]

    async def tags(self) -> list[str]:
        """Those that somebody has."""
        fleet = await self._fleets.now()
        return sorted({tag for agent in fleet.agents for tag in agent.tags})

    async def listed(self, wanted: Wanted) -> Listed:
        """The newest first."""
        before_at, _, before_id = wanted.before.partition("~")
        is_open = wanted.state in QUEUED
        values = {
            "workspace": wanted.workspace,
            "state": QUEUED[wanted.state] if is_open else wanted.state or None,
            "tag": wanted.tag or None,
            "path": f"%{wanted.path}%" if wanted.path else None,
            "worker": wanted.worker or None,
            "created_by": wanted.created_by or None,
            "with_steps": int(wanted.with_steps),
            "before_at": _number(before_at),
            "before_id": before_id,
            "scan": self._scan,
            "most": self._per_page + 1,
        }

        def read(db: Connection) -> tuple[list[dict[str, Any]], Row | None]:
            found = [dict(row) for row in db.execute(SQL["recent_open" if is_open else "recent"], values)]
            ids = {"ids": json.dumps({row["id"]: 1 for row in found})}
            custody = {row["job_id"]: row for row in db.execute(SQL["custody_of"], ids)}
            end: Row | None = None
            if len(found) <= self._per_page:
                end = db.execute(SQL["scanned_to"], values | {"scan": self._scan - 1}).fetchone()
            return [row | {"custody": custody.get(row["id"])} for row in found], end

        found, end = await self._store.read(read)
        if len(found) > self._per_page:
            return Listed(found[: self._per_page], _place(found[self._per_page - 1]))
        return Listed(found, "" if end is None else _place(end), 0 if end is None else self._scan)

    async def workspace_of(self, job_id: str) -> str:
        """Raises `NotFound`."""
        row = await self._store.read(lambda db: db.execute(SQL["where"], {"id": job_id}).fetchone())
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return str(row["workspace_id"])

    async def record(self, job_id: str) -> dict[str, Any]:
        """What does not change: without texts. Raises `NotFound`."""
        row = await self._store.read(lambda db: db.execute(SQL["job"], {"id": job_id}).fetchone())
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return dict(row)

    async def arguments_and_code(self, job_id: str) -> tuple[Text, Text]:
        values = {"id": job_id, "most": SHOWN_MAX_CHARS}
        row = await self._store.read(lambda db: db.execute(SQL["texts"], values).fetchone())
        return Text(row["args"], row["args_chars"]), Text(row["code"] or "", row["code_chars"] or 0)

    async def result(self, job_id: str) -> tuple[Text, str] | None:
        """And how it ended; None: it has not."""
        values = {"id": job_id, "most": SHOWN_MAX_CHARS}
        row = await self._store.read(lambda db: db.execute(SQL["result"], values).fetchone())
        return None if row is None else (Text(row["text"], row["chars"]), row["status"])

    async def log(self, job_id: str, offset: int | None) -> LogPiece:
        """The text after `offset` characters; None: its end. What is too much at a time is left out."""

        def read(db: Connection) -> LogPiece:
            row = db.execute(SQL["log_length"], {"id": job_id}).fetchone()
            length = 0 if row is None else row["chars"]
            most = TAIL_CHARS if offset is None else PIECE_CHARS
            start = max(offset or 0, length - most)
            if start >= length:
                return LogPiece("", length, length)
            text, end = joblog.read_from(db, job_id, start)
            return LogPiece(text, start, end)

        return await self._store.read(read)

    async def facts(self, job_id: str) -> tuple[Facts, dict[str, Any]]:
        """All that is known of its custody now, and its record. Raises `NotFound`."""
        now_s = self._clock.wall_s()
        found = await self._store.read(lambda db: _read_facts(db, job_id, now_s))
        job = job_of(found.record, self._heartbeats.wall_s(job_id))
        attempts = [attempt_of(row) for row in found.attempts]
        way = self._carrying()
        has_broker = way.ready_max is not None
        agents = () if job.where is Where.OVER else (await self._fleets.now()).agents
        current = next((one.custodian for one in reversed(attempts) if one.is_open), None) or job.worker
        tag, delivery = Tag(job.tag), Delivery(job.delivery)
        wish = found.record["replace"]
        facts = Facts(
            now_s=now_s,
            job=job,
            attempts=attempts,
            servers=[server_of(one, has_broker=has_broker) for one in agents if may_serve(one, job.tag)],
            holder=next(
                (server_of(one, has_broker=has_broker) for one in agents if one.worker == current), None
            ),
            way=replace(way, waiting=found.figures["waiting"]),
            ahead=found.ahead,
            in_key=found.figures["in_key"],
            parts=found.figures["parts"],
            parts_of=found.figures["parts_of"],
            lost_after_s=self._policies.lost_after(tag, found.record["lost_after_s"]),
            may_replace=self._policies.may_replace(
                tag, self._policies.delivery(tag, delivery), None if wish is None else Replace(wish)
            ),
            quarantined=found.figures["quarantined"],
            supply=found.supply,
        )
        return facts, found.record | {"retried_as": found.figures["retried_as"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    record: dict[str, Any]
    attempts: Sequence[Row]
    figures: Mapping[str, Any]
    ahead: int
    supply: Supply | None


def _read_facts(db: Connection, job_id: str, now_s: float) -> _Found:
    row = db.execute(SQL["job"], {"id": job_id}).fetchone()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    record = dict(row)
    attempts = db.execute(SQL["attempts"], {"id": job_id}).fetchall()
    about = {
        "id": job_id,
        "tag": record["tag"],
        "concurrency_key": record["concurrency_key"] or "",
        "first": record["retry_of"] or job_id,
        "retries": record["retries"],
        "priority": -99_999 if record["priority"] is None else record["priority"],
        "scheduled_for": record["scheduled_for"],
        "created_at": record["created_at"],
    }
    ahead = 0
    if record["state"] == "ready":
        (ahead,) = db.execute(SQL["ahead"], about).fetchone()
    return _Found(
        record=record,
        attempts=attempts,
        figures=dict(db.execute(SQL["figures"], about).fetchone()),
        ahead=ahead,
        supply=_read_supply(db, record, attempts, now_s),
    )


def _read_supply(
    db: Connection, record: Mapping[str, Any], attempts: Sequence[Row], now_s: float
) -> Supply | None:
    """Of a job that is at a site and has not begun; what was said long ago is not believed."""
    if record["status"] is not None or any(row["started_at"] for row in attempts):
        return None
    worker = next(
        (row["custodian"] for row in attempts if row["state"] == "accepted"), record["queue_worker"]
    )
    lock = db.execute(SQL["lock"], {"id": record["id"]}).fetchone()["lock"]
    bundle = bundle_of(record["language"], lock)
    if not worker or not bundle:
        return None
    about = {"worker": worker, "bundle": bundle, "since": now_s - SUPPLY_FRESH_S}
    row = db.execute(SQL["supply"], about).fetchone()
    return None if row is None else Supply(have=row["have"], size=row["size"], why=row["why"])


def _number(text: str) -> float:
    try:
        return float(text) if text else FAR
    except ValueError:
        return FAR


def _place(row: Row | Mapping[str, Any]) -> str:
    return f"{row['created_at']!r}~{row['id']}"
