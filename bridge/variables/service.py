"""The workspaces' variables in the store, secrets sealed."""

from pathlib import Path
from typing import Any, Final

from bridge.errors import BadRequest
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store, Taken
from bridge.variables.model import NewVariable, PathFilter, VariableChange, VariableRow, checked_path
from bridge.variables.vault import Vault

SQL: Final = queries(Path(__file__).with_name("variables.sql"))


class Variables:
    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def create(self, workspace: str, asked: NewVariable) -> None:
        """Raises `BadRequest` when the path is taken or no path."""
        path = checked_path(asked.path)
        row = {
            "workspace_id": workspace,
            "path": path,
            "value": self._stored(workspace, path, asked.value, secret=asked.is_secret),
            "is_secret": asked.is_secret,
            "description": asked.description,
            "offline": asked.offline,
        }
        try:
            await self._store.write(lambda connection: connection.execute(SQL["add"], row))
        except Taken:
            raise BadRequest(f"variable {path} exists already; change it with variables/update") from None

    async def update(self, workspace: str, path: str, change: VariableChange) -> str:
        """The variable's path afterwards. A secret becomes plain with a new value only. Raises `NotFound`."""
        new_path = path if change.path is None else checked_path(change.path)

        def write(connection: Connection) -> None:
            row = _found(connection, workspace, path)
            secret = bool(row["is_secret"]) if change.is_secret is None else change.is_secret
            if row["is_secret"] and not secret and change.value is None:
                raise BadRequest("a secret becomes plain only together with a new value")
            value = self._opened(row) if change.value is None else change.value
            described = row["description"] if change.description is None else change.description
            changed = {
                "workspace_id": workspace,
                "path": path,
                "new_path": new_path,
                "value": self._stored(workspace, new_path, value, secret=secret),
                "is_secret": secret,
                "description": described,
                "offline": row["offline"] if change.offline is None else change.offline,
            }
            connection.execute(SQL["change"], changed)

        try:
            await self._store.write(write)
        except Taken:
            raise BadRequest(f"variable {new_path} exists already") from None
        return new_path

    async def delete(self, workspace: str, path: str) -> None:
        """Raises `NotFound`."""

        def write(connection: Connection) -> None:
            _found(connection, workspace, path)
            connection.execute(SQL["remove"], {"workspace_id": workspace, "path": path})

        await self._store.write(write)

    async def one(self, workspace: str, path: str, *, decrypt: bool) -> VariableRow:
        """Raises `NotFound`, and `Unreadable` when a secret does not open."""
        row = await self._store.read(lambda connection: _found(connection, workspace, path))
        hidden = row["is_secret"] and not decrypt
        return _as_row({**row, "value": None if hidden else self._opened(row)})

    async def value(self, workspace: str, path: str) -> str:
        """Raises as `one`."""
        return (await self.value_and_kind(workspace, path))[0]

    async def value_and_kind(self, workspace: str, path: str) -> tuple[str, bool]:
        """The value, and whether it is a secret. Raises as `one`."""
        row = await self._store.read(lambda connection: _found(connection, workspace, path))
        return self._opened(row), bool(row["is_secret"])

    async def exists(self, workspace: str, path: str) -> bool:
        values = {"workspace_id": workspace, "path": path}

        def read(connection: Connection) -> bool:
            return connection.execute(SQL["one"], values).fetchone() is not None

        return await self._store.read(read)

    async def listed(self, workspace: str, wanted: PathFilter) -> list[VariableRow]:
        """By path, without the secrets' values."""
        values = {
            "workspace_id": workspace,
            "path_start": wanted.path_start,
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [_as_row(dict(row)) for row in connection.execute(SQL["listed"], values)]
        )

    def _stored(self, workspace: str, path: str, value: str, *, secret: bool) -> str:
        return self._vault.seal(value, workspace, path) if secret else value

    def _opened(self, row: Row) -> str:
        value: str = row["value"]
        return self._vault.open(value, row["workspace_id"], row["path"]) if row["is_secret"] else value


def _found(connection: Connection, workspace: str, path: str) -> Row:
    values = {"workspace_id": workspace, "path": path}
    return found(connection, SQL["one"], values, f"Variable {path} not found in workspace {workspace}")


def _as_row(row: dict[str, Any]) -> VariableRow:
    return VariableRow(**{**row, "is_secret": bool(row["is_secret"]), "offline": bool(row["offline"])})
