"""Reads what the page of a flow shows: its steps, their jobs, and whom they wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.errors import NotFound
from bridge.fleet.model import Agent, State
from bridge.fleet.service import Fleets
from bridge.flows import status
from bridge.flows.definition import FlowValue, parsed
from bridge.flows.reading import FlowRecords, Waiting
from bridge.flows.status import Status
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("steps.sql"))
CHILDREN_PER_PAGE: Final = 100
AWAY: Final = (State.DOWN, State.LEFT)


@dataclass(frozen=True, slots=True)
class Away:
    """Nobody with this tag is there; `since`: when the last one was heard of, None: nobody ever had it."""

    since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A flow at one moment. `away`: the tags that somebody waits for and nobody serves now."""

    status: Status
    value: FlowValue
    is_over: bool
    children: Sequence[Mapping[str, Any]]
    waiting: Sequence[Waiting]
    away: Mapping[str, Away]


class FlowSteps:
    def __init__(self, store: Store, records: FlowRecords, fleets: Fleets) -> None:
        self._store = store
        self._records = records
        self._fleets = fleets

    async def look(self, job_id: str) -> Looked | None:
        """None: the job is no flow."""

        def read(connection: Connection) -> tuple[Row, list[Row]] | None:
            row = connection.execute(SQL["flow"], {"id": job_id}).fetchone()
            if row is None:
                return None
            return row, connection.execute(SQL["children"], {"id": job_id}).fetchall()

        found = await self._store.read(read)
        if found is None:
            return None
        row, children = found
        is_over = row["ended"] is not None
        waiting = [] if is_over else await self._records.waiting_on(row["workspace_id"], job_id)
        return Looked(
            status=status.decoded(row["status"]),
            value=parsed(row["value"].encode()),
            is_over=is_over,
            children=[dict(child) for child in children],
            waiting=waiting,
            away=await self._away({one.tag for one in waiting if one.state == "waiting"}),
        )

    async def text(self, job_id: str) -> str:
        """What the flow runs, as JSON text. Raises `NotFound`."""
        row = await self._store.read(lambda db: db.execute(SQL["flow"], {"id": job_id}).fetchone())
        if row is None:
            raise NotFound(f"job {job_id} is no flow")
        return str(row["value"])

    async def children(
        self, job_id: str, module_id: str, first: int, *, open_only: bool
    ) -> list[Mapping[str, Any]]:
        """Of a loop or branches, in order, from a position on; all, or those that have not ended."""
        values = {
            "id": job_id,
            "module_id": module_id,
            "first": first,
            "open_only": int(open_only),
            "most": CHILDREN_PER_PAGE,
        }
        rows = await self._store.read(lambda db: db.execute(SQL["child_page"], values).fetchall())
        return [dict(row) for row in rows]

    async def _away(self, tags: set[str]) -> dict[str, Away]:
        if not tags:
            return {}
        agents = (await self._fleets.now()).agents
        return {tag: gone for tag in tags if (gone := _gone(tag, agents)) is not None}


def _gone(tag: str, agents: Sequence[Agent]) -> Away | None:
    servers = [one for one in agents if tag in one.tags and one.state not in (State.REVOKED, State.EXPIRED)]
    if any(one.state not in AWAY for one in servers):
        return None
    return Away(max((one.last_heard for one in servers), default=None))
