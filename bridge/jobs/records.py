"""What people read about jobs, in the shapes of agent-api.md 8.2."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from agent.clock import Clock
from bridge.errors import NotFound
from bridge.jobs import joblog
from bridge.jobs.heartbeats import Heartbeats
from bridge.jobs.model import Page, rfc3339
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("records.sql"))


class JobFilter(Struct):
    """Query parameters of the lists."""

    running: bool | None = None
    success: bool | None = None
    tag: str | None = None
    created_by: str | None = None
    script_path_exact: str | None = None
    schedule_path: str | None = None
    parent_job: str | None = None
    job_kinds: str | None = None  # with commas between them
    is_flow_step: bool | None = None
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 30


class Which(Enum):
    ALL = "all"
    QUEUED = "queued"
    COMPLETED = "completed"


class Update(Struct):
    """What changed since a client last asked; `log_offset` is in characters."""

    running: bool
    completed: bool
    new_logs: str
    log_offset: int
    mem_peak: int | None
    stream_offset: int | UnsetType = UNSET
    new_result_stream: str | UnsetType = UNSET
    progress: int | UnsetType | None = UNSET
    flow_status: Raw | UnsetType = UNSET


class MaybeResult(Struct):
    completed: bool
    started: bool
    success: bool
    result: Any


class QueueCount(Struct):
    database_length: int
    suspended: int = 0


@dataclass(frozen=True, slots=True)
class _Liveness:
    last_ping_s: float | None
    mem_peak_kb: int | None


class Records:
    """Reads only; it never waits for a write."""

    def __init__(self, store: Store, clock: Clock, heartbeats: Heartbeats) -> None:
        self._store = store
        self._clock = clock
        self._heartbeats = heartbeats

    async def job(self, workspace: str, job_id: str, *, with_logs: bool, with_code: bool) -> dict[str, Any]:
        """QueuedJob or CompletedJob, told apart by `type`. Raises `NotFound`."""
        key = {"id": job_id, "workspace_id": workspace}

        def read(connection: Connection) -> dict[str, Any]:
            row = _found(connection, "one", key)
            record = self._as_json(row)
            record["args"] = Raw(row["args"].encode())
            if row["result"] is not None:
                record["result"] = Raw(row["result"].encode())
            if with_code:
                record["raw_code"] = row["raw_code"]
            if with_logs:
                record["logs"], _ = joblog.read_from(connection, job_id, 0)
            return record

        return await self._store.read(read)

    async def completed(self, workspace: str, job_id: str) -> dict[str, Any]:
        """As `job`. Raises `NotFound` also for one that is not completed."""
        record = await self.job(workspace, job_id, with_logs=True, with_code=True)
        if record["type"] != "CompletedJob":
            raise NotFound(f"job {job_id} is not completed yet")
        return record

    async def result(self, workspace: str, job_id: str) -> str:
        """The result's JSON text, as it was recorded. Raises `NotFound` until then."""
        row = await self._outcome(workspace, job_id)
        if row["status"] is None:
            raise NotFound(f"job {job_id} is not completed yet; get_result_maybe answers for a running one")
        return str(row["result"])

    async def maybe_result(self, workspace: str, job_id: str) -> MaybeResult:
        return _maybe(await self._outcome(workspace, job_id))

    async def end_of_chain(self, workspace: str, first: str) -> tuple[str, MaybeResult]:
        """Of a job and those that retried it the newest: its id, and its result if there is one yet.

        Of a flow that answers early (`early_return`), that answer.
        """
        key = {"id": first, "workspace_id": workspace}
        row = await self._store.read(lambda connection: _found(connection, "chain", key))
        if row["status"] is None and row["early_result"] is not None:
            return row["id"], MaybeResult(True, True, True, Raw(row["early_result"].encode()))
        return row["id"], _maybe(row)

    async def update(self, workspace: str, job_id: str, log_offset: int) -> tuple[Update, str]:
        """And the job's kind. Raises `NotFound`."""
        key = {"id": job_id, "workspace_id": workspace}

        def read(connection: Connection) -> tuple[Update, str]:
            row = _found(connection, "place", key)
            text, length = joblog.read_from(connection, job_id, log_offset)
            update = Update(
                running=row["state"] == "running",
                completed=row["status"] is not None,
                new_logs=text,
                log_offset=length,
                mem_peak=self._liveness(row).mem_peak_kb,
            )
            return update, row["kind"]

        return await self._store.read(read)

    async def logs(self, workspace: str, job_id: str) -> str:
        key = {"id": job_id, "workspace_id": workspace}

        def read(connection: Connection) -> str:
            _found(connection, "place", key)
            return joblog.read_from(connection, job_id, 0)[0]

        return await self._store.read(read)

    async def newest(self, workspace: str, wanted: JobFilter, which: Which) -> list[dict[str, Any]]:
        """Newest first, without logs, code, arguments and results."""
        if wanted.running is not None and wanted.success is not None:
            return []  # nothing is both in the queue and completed
        if wanted.running is not None:
            which = Which.QUEUED if which is not Which.COMPLETED else which
        query = "newest_queued" if which is Which.QUEUED else "newest"
        values = {
            "workspace_id": workspace,
            "completed_only": which is Which.COMPLETED,
            "running": wanted.running,
            "success": wanted.success,
            "tag": wanted.tag,
            "created_by": wanted.created_by,
            "script_path_exact": wanted.script_path_exact,
            "schedule_path": wanted.schedule_path,
            "parent_job": wanted.parent_job,
            "job_kinds": _kinds(wanted.job_kinds),
            "is_flow_step": wanted.is_flow_step,
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [self._as_json(row) for row in connection.execute(SQL[query], values)]
        )

    async def waiting(self, workspace: str) -> QueueCount:
        values = {"workspace_id": workspace, "now": self._clock.wall_s()}

        def read(connection: Connection) -> QueueCount:
            (count,) = connection.execute(SQL["waiting"], values).fetchone()
            (suspended,) = connection.execute(SQL["suspended"], {"workspace_id": workspace}).fetchone()
            return QueueCount(database_length=count, suspended=suspended)

        return await self._store.read(read)

    async def _outcome(self, workspace: str, job_id: str) -> Row:
        key = {"id": job_id, "workspace_id": workspace}
        return await self._store.read(lambda connection: _found(connection, "outcome", key))

    def _liveness(self, row: Row) -> _Liveness:
        heard = self._heartbeats.last(row["id"])
        if row["status"] is not None or heard is None:
            return _Liveness(None, row["mem_peak_kb"])
        return _Liveness(self._heartbeats.wall_s(row["id"]), heard.mem_peak_kb)

    def _as_json(self, row: Row) -> dict[str, Any]:
        return _completed_json(row) if row["status"] is not None else self._queued_json(row)

    def _queued_json(self, row: Row) -> dict[str, Any]:
        alive = self._liveness(row)
        return {
            "type": "QueuedJob",
            **_common_json(row),
            "started_at": rfc3339(row["queue_started_at"]),
            "running": row["state"] == "running",
            "canceled": row["queue_canceled_by"] is not None,
            "canceled_by": row["queue_canceled_by"],
            "canceled_reason": row["queue_canceled_reason"],
            "last_ping": rfc3339(alive.last_ping_s),
            "mem_peak": alive.mem_peak_kb,
            "suspend": row["suspend"] or None,
            "worker": row["queue_worker"],
        }


def _maybe(row: Row) -> MaybeResult:
    completed = row["status"] is not None
    return MaybeResult(
        completed=completed,
        started=completed or row["state"] == "running",
        success=row["status"] == "success",
        result=Raw(row["result"].encode()) if completed else None,
    )


def _kinds(listed: str | None) -> str | None:
    """As the statements take it: an object, by kind."""
    if not listed:
        return None
    return json.dumps({kind: 1 for kind in listed.split(",") if kind})


def _found(connection: Connection, query: str, key: Mapping[str, Any]) -> Row:
    return found(connection, SQL[query], key, f"job {key['id']} not found in workspace {key['workspace_id']}")


def _completed_json(row: Row) -> dict[str, Any]:
    return {
        "type": "CompletedJob",
        **_common_json(row),
        "started_at": rfc3339(row["started_at"]),
        "completed_at": rfc3339(row["completed_at"]),
        "duration_ms": row["duration_ms"],
        "success": row["status"] == "success",
        "result": None,
        "canceled": row["status"] == "canceled",
        "canceled_by": row["canceled_by"],
        "canceled_reason": row["canceled_reason"],
        "mem_peak": row["mem_peak_kb"],
        "worker": row["worker"],
        "deleted": False,
        "is_skipped": bool(row["skipped"]),
        "labels": None,
    }


def _common_json(row: Row) -> dict[str, Any]:
    return {
        "workspace_id": row["workspace_id"],
        "id": row["id"],
        "parent_job": row["parent_job"],
        "created_by": row["created_by"],
        "created_at": rfc3339(row["created_at"]),
        "scheduled_for": rfc3339(row["scheduled_for"]),
        "script_path": row["script_path"],
        "script_hash": row["script_hash"],
        "args": None,
        "logs": None,
        "raw_code": None,
        "job_kind": row["kind"],
        "schedule_path": row["schedule_path"],
        "permissioned_as": row["permissioned_as"],
        "flow_status": None,
        "raw_flow": None,
        "is_flow_step": row["flow_step_id"] is not None,
        "flow_step_id": row["flow_step_id"],
        "root_job": row["root_job"],
        "flow_innermost_root_job": row["flow_innermost_root_job"],
        "language": row["language"] or None,
        "email": row["email"],
        "visible_to_owner": True,
        "tag": row["tag"],
        "priority": row["priority"],
        "self_wait_time_ms": None,
        "preprocessed": None,
        "is_retry": row["retry_of"] is not None,
        "trigger_kind": None if row["schedule_path"] is None else "schedule",
        "timeout": row["timeout_s"],
        "delivery": row["delivery"],
        "lost_after": row["lost_after_s"],
        "replace": row["replace"],
        "not_after": rfc3339(row["not_after"]),
    }
