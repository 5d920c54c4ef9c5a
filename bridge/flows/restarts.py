"""A flow run again from one of its steps: an order like any other (openflow.md 4)."""

from pathlib import Path
from typing import Final

from bridge.flows import restarting, status
from bridge.flows.definition import parsed
from bridge.jobs.model import FlowText, FormerChild
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("restarts.sql"))


class Restarts:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def source(
        self, workspace: str, flow_id: str, step_id: str, branch_or_iteration_n: int | None = None
    ) -> tuple[FlowText, bytes]:
        """What to push, and the arguments that the flow had. Raises `NotFound` and `BadRequest`."""
        return await self._store.read(
            lambda connection: _source(connection, workspace, flow_id, step_id, branch_or_iteration_n)
        )


def _source(
    connection: Connection, workspace: str, flow_id: str, step_id: str, first: int | None
) -> tuple[FlowText, bytes]:
    key = {"id": flow_id, "workspace_id": workspace}
    row = found(connection, SQL["former"], key, f"flow {flow_id} not found in workspace {workspace}")
    value = parsed(row["value"].encode())
    restart = restarting.restarted(value, status.decoded(row["status"]), flow_id, step_id, first)
    children = tuple(
        FormerChild(copy.module_id, 0, child["position"], child["job_id"])
        for copy in restart.copies
        for child in connection.execute(
            SQL["children"],
            {"id": flow_id, "module_id": copy.module_id, "round": copy.old_round, "below": copy.below},
        )
    )
    text = FlowText(
        kind=row["kind"],
        value=row["value"].encode(),
        status=status.encoded(restart.status),
        path=row["script_path"],
        version=row["flow_version"],
        tag=row["tag"],
        priority=row["priority"],
        timeout_s=row["timeout_s"],
        concurrent_limit=row["concurrent_limit"],
        concurrency_time_window_s=row["concurrency_time_window_s"],
        concurrency_key=row["concurrency_key"],
        children=children,
    )
    return text, row["args"].encode()
