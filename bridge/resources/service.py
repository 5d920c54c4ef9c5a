"""The workspaces' resources in the store; a state is a resource of the type `state`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Raw, UnsetType

from agent.clock import Clock
from bridge.errors import BadRequest
from bridge.jobs.model import rfc3339
from bridge.resources.model import (
    NewResource,
    NewResourceAsSent,
    ResourceChange,
    ResourceChangeAsSent,
    ResourceFilter,
    ResourceRow,
)
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store, Taken
from bridge.variables.model import checked_path

SQL: Final = queries(Path(__file__).with_name("resources.sql"))


def json_text(sent: Raw | UnsetType) -> str | None:
    return bytes(sent).decode() if isinstance(sent, Raw) else None


class Resources:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, workspace: str, asked: NewResourceAsSent, created_by: str, *, update_if_exists: bool
    ) -> None:
        """Raises `BadRequest` when the path is taken or no path."""
        row = {
            **_change_of(asked),
            "workspace_id": workspace,
            "path": checked_path(asked.path),
            "created_by": created_by,
            "now": self._clock.wall_s(),
        }

        def write(connection: Connection) -> None:
            if update_if_exists and connection.execute(SQL["change"], {**row, "new_path": None}).fetchone():
                return
            connection.execute(SQL["add"], row)

        try:
            await self._store.write(write)
        except Taken:
            raise BadRequest(
                f"resource {asked.path} exists already; change it with resources/update"
            ) from None

    async def update(self, workspace: str, path: str, change: ResourceChangeAsSent) -> str:
        """The resource's path afterwards. Raises `NotFound`."""
        new_path = None if change.path is None else checked_path(change.path)
        values = {**_change_of(change), "new_path": new_path}
        try:
            return await self._changed("change", workspace, path, values)
        except Taken:
            raise BadRequest(f"resource {new_path} exists already") from None

    async def set_value(self, workspace: str, path: str, value: Raw) -> str:
        """Raises `NotFound`."""
        return await self.update(workspace, path, ResourceChangeAsSent(value=value))

    async def delete(self, workspace: str, path: str) -> str:
        """Raises `NotFound`."""
        return await self._changed("remove", workspace, path, {})

    async def one(self, workspace: str, path: str) -> ResourceRow:
        """Raises `NotFound`."""
        row = await self._found(workspace, path)
        return _as_row({**row, "value": Raw(row["value"].encode())})

    async def value(self, workspace: str, path: str) -> str:
        """The value's JSON text, as it was set. Raises `NotFound`."""
        return str((await self._found(workspace, path))["value"])

    async def exists(self, workspace: str, path: str) -> bool:
        values = {"workspace_id": workspace, "path": path}
        return await self._store.read(lambda db: db.execute(SQL["one"], values).fetchone()) is not None

    async def listed(self, workspace: str, wanted: ResourceFilter) -> list[ResourceRow]:
        """By path, without the values."""
        values = {
            "workspace_id": workspace,
            "path_start": wanted.path_start,
            "resource_type": wanted.resource_type,
            "resource_type_exclude": wanted.resource_type_exclude,
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [_as_row(dict(row)) for row in connection.execute(SQL["listed"], values)]
        )

    async def _changed(self, query: str, workspace: str, path: str, values: Mapping[str, Any]) -> str:
        change = {**values, "workspace_id": workspace, "path": path, "now": self._clock.wall_s()}
        missing = _missing(workspace, path)
        row = await self._store.write(lambda db: found(db, SQL[query], change, missing))
        return str(row["path"])

    async def _found(self, workspace: str, path: str) -> Row:
        values, missing = {"workspace_id": workspace, "path": path}, _missing(workspace, path)
        return await self._store.read(lambda db: found(db, SQL["one"], values, missing))


def _missing(workspace: str, path: str) -> str:
    return f"Resource {path} not found in workspace {workspace}"


def _change_of(asked: NewResource | ResourceChange) -> dict[str, Any]:
    return {
        "value": json_text(asked.value),
        "resource_type": asked.resource_type,
        "description": asked.description,
        "offline": asked.offline,
    }


def _as_row(row: dict[str, Any]) -> ResourceRow:
    shown = {name: value for name, value in row.items() if name != "state_since"}
    return ResourceRow(**{**shown, "offline": bool(row["offline"]), "edited_at": rfc3339(row["edited_at"])})
