"""What people read about flows: how far one is, which results it has, and whom it waits for."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from bridge.flows import resolving, status
from bridge.flows.expressions.paths import pick, undotted
from bridge.flows.rendering import Child, flow_status
from bridge.jobs.model import rfc3339
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("reading.sql"))
WAITING_MOST: Final = 1000  # steps that one answer names

State = Literal["later", "limited", "waiting", "taken", "sent", "accepted", "running", "suspended"]


class Waiting(Struct, kw_only=True):
    """A step that has not ended, and with whom it is.

    `state`: it waits for its time, for a place of its concurrency key, or for a worker with its tag; it is on
    its way to a site (`taken`, `sent`), held there (`accepted`), or running; a flow waits for people.
    `module_id` and `position`: of the child right below the flow that was asked after; `step_id`: its own.
    """

    job_id: str
    module_id: str
    position: int
    step_id: str
    tag: str
    state: State
    since_s: float  # wall seconds
    worker: str | None  # who holds it
    canceled: bool


class FlowRecords:
    """Reads only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def status(self, workspace: str, flow_id: str) -> bytes | None:
        """The `flow_status`, JSON text; None for what is no flow."""
        return await self._store.read(lambda connection: status_text(connection, workspace, flow_id))

    async def raw_flow(self, workspace: str, flow_id: str) -> bytes | None:
        """What it runs, JSON text; None for what is no flow."""

        def read(connection: Connection) -> bytes | None:
            row = _run(connection, workspace, flow_id)
            return None if row is None else str(row["value"]).encode()

        return await self._store.read(read)

    async def result_by_id(
        self, workspace: str, flow_id: str, step_id: str, json_path: str | None = None
    ) -> bytes:
        """Of a step of this flow or of one above it, as JSON text. Raises `NotFound`."""

        def read(connection: Connection) -> str:
            _found(connection, workspace, flow_id)
            return resolving.result_above(connection, flow_id, step_id)

        text = (await self._store.read(read)).encode()
        return pick(text, undotted(json_path)) if json_path else text

    async def waiting_on(self, workspace: str, flow_id: str) -> list[Waiting]:
        """The steps that have not ended, at most 1,000, through all flows below. Raises `NotFound`."""

        def read(connection: Connection) -> list[Waiting]:
            _found(connection, workspace, flow_id)
            return _open_steps(connection, flow_id)

        return await self._store.read(read)


def status_text(connection: Connection, workspace: str, flow_id: str) -> bytes | None:
    """The `flow_status`, JSON text; None for what is no flow."""
    row = _run(connection, workspace, flow_id)
    if row is None:
        return None
    children = [_child(child) for child in connection.execute(SQL["children"], {"id": flow_id})]
    shown = flow_status(status.decoded(row["status"]), children)
    held = _held(_open_steps(connection, flow_id))
    for module in (*shown["modules"], shown["failure_module"], shown["preprocessor_module"] or {}):
        module.pop("held", None)
        if module.get("id") in held:
            module["held"] = held[module["id"]]
    return msgspec.json.encode(shown)


def _open_steps(connection: Connection, flow_id: str) -> list[Waiting]:
    rows = connection.execute(SQL["waiting_on"], {"id": flow_id, "most": WAITING_MOST})
    return [_waiting(row) for row in rows]


def _held(steps: Iterable[Waiting]) -> dict[str, list[dict[str, Any]]]:
    """By module: which of the steps inside it have not ended, and with whom each is."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in steps:
        found[one.module_id].append(
            {
                "job": one.job_id,
                "step": one.step_id,
                "position": one.position,
                "tag": one.tag,
                "worker": one.worker,
                "state": one.state,
                "since": rfc3339(one.since_s),
            }
        )
    return found


def _run(connection: Connection, workspace: str, flow_id: str) -> Row | None:
    row: Row | None = connection.execute(SQL["run"], {"id": flow_id, "workspace_id": workspace}).fetchone()
    return row


def _found(connection: Connection, workspace: str, flow_id: str) -> Row:
    key = {"id": flow_id, "workspace_id": workspace}
    return found(connection, SQL["run"], key, f"flow {flow_id} not found in workspace {workspace}")


def _child(row: Row) -> Child:
    return Child(
        module_id=row["module_id"],
        round=row["round"],
        position=row["position"],
        job_id=row["job_id"],
        success=None if row["status"] is None else row["status"] == "success",
        started_at_s=row["started_at"],
        duration_ms=row["duration_ms"],
        tag=row["tag"],
        worker=row["worker"],
    )


def _waiting(row: Row) -> Waiting:
    state, since_s, worker = _whereabouts(row)
    return Waiting(
        job_id=row["job_id"],
        module_id=row["top_id"],
        position=row["place"],
        step_id=row["module_id"],
        tag=row["tag"],
        state=state,
        since_s=since_s,
        worker=worker,
        canceled=row["canceled_by"] is not None,
    )


def _whereabouts(row: Row) -> tuple[State, float, str | None]:
    if row["suspend"]:
        return "suspended", row["started_at"] or row["created_at"], None
    if row["custody"] is not None:
        return _custody(row)
    if row["state"] == "running":
        return "running", row["started_at"], row["worker"]
    if row["state"] == "later":
        return "later", row["created_at"], None
    return ("limited" if row["waits_for"] else "waiting"), row["scheduled_for"], None


def _custody(row: Row) -> tuple[State, float, str | None]:
    """Where the bridge carried it."""
    if row["site_started_at"] is not None:
        return "running", row["site_started_at"], row["custodian"]
    if row["accepted_at"] is not None:
        return "accepted", row["accepted_at"], row["custodian"]
    if row["published_at"] is not None:
        return "sent", row["published_at"], None
    return "taken", row["taken_at"], None
