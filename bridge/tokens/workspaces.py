"""The workspaces: `admins` and `main` are there from the start."""

import re
from pathlib import Path
from typing import Final

from bridge.errors import BadRequest, NotFound
from bridge.store.statements import queries
from bridge.store.store import Connection, Store, Taken
from bridge.tokens.model import Identity, NewWorkspace, Workspace

SQL: Final = queries(Path(__file__).with_name("tokens.sql"))
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,50}")


class Workspaces:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: set[str] = set()  # only grows, since none is ever deleted; the store wins

    async def require(self, workspace: str) -> None:
        """Raises `NotFound` when there is no such workspace."""
        if workspace in self._known:
            return

        def read(connection: Connection) -> bool:
            return connection.execute(SQL["workspace"], {"id": workspace}).fetchone() is not None

        if not await self._store.read(read):
            raise NotFound(f"workspace {workspace!r} not found; GET /api/workspaces/list names them")
        self._known.add(workspace)

    async def create(self, identity: Identity, asked: NewWorkspace) -> None:
        """Raises `BadRequest` when the id is taken or not an id."""
        if not ID.fullmatch(asked.id):
            raise BadRequest(f"id must be 1 to 50 of the characters A-Z a-z 0-9 _ -, not {asked.id!r}")
        row = {"id": asked.id, "name": asked.name, "owner": identity.username}
        try:
            await self._store.write(lambda connection: connection.execute(SQL["add_workspace"], row))
        except Taken:
            raise BadRequest(f"workspace {asked.id!r} exists already; choose another id") from None

    async def ids(self) -> list[str]:
        """Of all of them."""

        def read(connection: Connection) -> list[str]:
            return [row["id"] for row in connection.execute(SQL["workspaces"])]

        return await self._store.read(read)

    async def visible_to(self, identity: Identity) -> list[Workspace]:
        def read(connection: Connection) -> list[Workspace]:
            return [Workspace(**row) for row in connection.execute(SQL["workspaces"])]

        found = await self._store.read(read)
        return [one for one in found if identity.workspace in (None, one.id)]
