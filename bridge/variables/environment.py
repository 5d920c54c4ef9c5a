"""Environment variables that every job of a workspace gets, beside the reserved ones (agent-api.md 7.2)."""

import re
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.audit.service import Audit
from bridge.errors import BadRequest
from bridge.store.statements import queries
from bridge.store.store import Connection, Store
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_body
from bridge.web.described import TEXT, Described

SQL: Final = queries(Path(__file__).with_name("environment.sql"))
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
OURS: Final = ("WM_", "ORVANTA_", "BASE_INTERNAL_URL")
NAMES_MAX: Final = 100  # each job carries them all (I6)


class NewEnvironmentVariable(Struct):
    """Without a `value` the variable goes."""

    name: str
    value: Annotated[str, Meta(max_length=10_000)] | None = None


class Environments:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, workspace: str) -> dict[str, str]:
        return dict(await self._rows("of", {"workspace_id": workspace}))

    async def of_held(self, workspace: str, worker: str) -> list[tuple[str, str]]:
        """Empty for a worker that runs no job of the workspace."""
        return await self._rows("of_held", {"workspace_id": workspace, "worker": worker})

    async def set(self, workspace: str, asked: NewEnvironmentVariable) -> None:
        """Raises `BadRequest` when the name cannot be one, is reserved, or is one too many."""
        if not NAME.fullmatch(asked.name) or asked.name.startswith(OURS):
            raise BadRequest(
                f"name must be letters, digits and _ and must not begin with {', '.join(OURS)}, "
                f"not {asked.name[:60]!r}"
            )
        if asked.value is not None and "\0" in asked.value:
            raise BadRequest("value must not hold a NUL character: no environment can")
        row = {"workspace_id": workspace, "name": asked.name, "value": asked.value}

        def write(connection: Connection) -> None:
            connection.execute(SQL["unset" if asked.value is None else "set"], row)
            (count,) = connection.execute(SQL["count"], row).fetchone()
            if count > NAMES_MAX:
                raise BadRequest(f"a workspace has at most {NAMES_MAX} environment variables")

        await self._store.write(write)

    async def _rows(self, query: str, values: dict[str, str]) -> list[tuple[str, str]]:
        def read(connection: Connection) -> list[tuple[str, str]]:
            return [(row["name"], row["value"]) for row in connection.execute(SQL[query], values)]

        return await self._store.read(read)


class EnvironmentRoutes:
    def __init__(self, environments: Environments, gate: Gate, audit: Audit) -> None:
        self._environments = environments
        self._gate = gate
        self._audit = audit

    def all(self) -> list[Described]:
        at = "/api/w/{workspace}/workspaces"
        return [
            Described(
                "POST", f"{at}/set_environment_variable", self.set,
                takes=NewEnvironmentVariable, gives=str, media=TEXT,
            ),
            Described("GET", f"{at}/environment_variables", self.listed, gives=dict[str, str]),
        ]  # fmt: skip

    async def set(self, request: Request) -> Response:
        """Set or remove an environment variable of the workspace's jobs; superadmins only."""
        identity = await self._gate.superadmin(request)
        await self._gate.member(request)
        asked = await typed_body(request, NewEnvironmentVariable)
        workspace = request.path_params["workspace"]
        operation = f"workspaces.environment.{'unset' if asked.value is None else 'set'}"
        await self._audit.note(identity.username, operation, f"{workspace}/{asked.name}")
        await self._environments.set(workspace, asked)
        return text_reply(f"environment variable {asked.name} {'removed' if asked.value is None else 'set'}")

    async def listed(self, request: Request) -> Response:
        """The environment variables of the workspace's jobs."""
        await self._gate.member(request)
        return json_reply(await self._environments.of(request.path_params["workspace"]))


def routes(environments: Environments, gate: Gate, audit: Audit) -> list[Described]:
    return EnvironmentRoutes(environments, gate, audit).all()
