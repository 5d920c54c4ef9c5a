"""Resource types: names with a schema, for people who fill in resources. No resource needs one."""

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from agent.clock import Clock
from bridge.errors import BadRequest, NotFound
from bridge.jobs.model import rfc3339
from bridge.resources.model import NewResourceTypeAsSent, ResourceTypeChangeAsSent, ResourceTypeRow
from bridge.resources.service import SQL, json_text
from bridge.store.store import Connection, Store, Taken


class ResourceTypes:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, workspace: str, asked: NewResourceTypeAsSent, created_by: str) -> None:
        """Raises `BadRequest` when the name is taken."""
        row = {
            "workspace_id": workspace,
            "name": asked.name,
            "schema": json_text(asked.schema),
            "description": asked.description,
            "created_by": created_by,
            "now": self._clock.wall_s(),
        }
        try:
            await self._store.write(lambda connection: connection.execute(SQL["add_type"], row))
        except Taken:
            raise BadRequest(f"resource type {asked.name} exists already") from None

    async def update(self, workspace: str, name: str, change: ResourceTypeChangeAsSent) -> None:
        """Raises `NotFound`."""
        values = {"schema": json_text(change.schema), "description": change.description}
        await self._changed("change_type", workspace, name, values)

    async def delete(self, workspace: str, name: str) -> None:
        """Raises `NotFound`."""
        await self._changed("remove_type", workspace, name, {})

    async def one(self, workspace: str, name: str) -> ResourceTypeRow:
        """Raises `NotFound`."""
        found = await self._rows("one_type", {"workspace_id": workspace, "name": name})
        if not found:
            raise _missing(workspace, name)
        return found[0]

    async def exists(self, workspace: str, name: str) -> bool:
        return bool(await self._rows("one_type", {"workspace_id": workspace, "name": name}))

    async def listed(self, workspace: str) -> list[ResourceTypeRow]:
        return await self._rows("types", {"workspace_id": workspace})

    async def _rows(self, query: str, values: Mapping[str, str]) -> list[ResourceTypeRow]:
        return await self._store.read(
            lambda connection: [_as_row(dict(row)) for row in connection.execute(SQL[query], values)]
        )

    async def _changed(self, query: str, workspace: str, name: str, values: Mapping[str, Any]) -> None:
        key = {"workspace_id": workspace, "name": name, "now": self._clock.wall_s()}

        def write(connection: Connection) -> bool:
            return connection.execute(SQL[query], {**values, **key}).fetchone() is not None

        if not await self._store.write(write):
            raise _missing(workspace, name)


def _missing(workspace: str, name: str) -> NotFound:
    return NotFound(f"Resource type {name} not found in workspace {workspace}")


def _as_row(row: dict[str, Any]) -> ResourceTypeRow:
    schema = Raw(row["schema"].encode())
    return ResourceTypeRow(**{**row, "schema": schema, "edited_at": rfc3339(row["edited_at"])})
