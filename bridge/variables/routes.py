"""Variables over HTTP, for people and jobs of the workspace (agent-api.md 8.5)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.tokens.gate import Gate
from bridge.variables.model import NewVariable, PathFilter, ReadOptions, VariableChange, VariableRow
from bridge.variables.service import Variables
from bridge.web.bodies import json_reply, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/variables"


class VariableRoutes:
    def __init__(self, variables: Variables, gate: Gate) -> None:
        self._variables = variables
        self._gate = gate

    def all(self) -> list[Described]:
        at = "{path:path}"
        return [
            Described("GET", f"{IN}/get_value/{at}", self.value, gives=str),
            Described("GET", f"{IN}/get/{at}", self.one, query=ReadOptions, gives=VariableRow),
            Described("GET", f"{IN}/exists/{at}", self.exists, gives=bool),
            Described("GET", f"{IN}/list", self.listed, query=PathFilter, gives=list[VariableRow]),
            Described(
                "POST", f"{IN}/create", self.create, takes=NewVariable, gives=str, status=201, media=TEXT
            ),
            Described("POST", f"{IN}/update/{at}", self.update, takes=VariableChange, gives=str, media=TEXT),
            Described("DELETE", f"{IN}/delete/{at}", self.delete, gives=str, media=TEXT),
        ]

    async def value(self, request: Request) -> Response:
        """A variable's value, a secret's too."""
        return json_reply(await self._variables.value(*await self._named(request)))

    async def one(self, request: Request) -> Response:
        """A variable; with `decrypt_secret=false` a secret's value is null."""
        workspace, path = await self._named(request)
        decrypt = typed_query(request, ReadOptions).decrypt_secret
        return json_reply(await self._variables.one(workspace, path, decrypt=decrypt))

    async def exists(self, request: Request) -> Response:
        """Whether there is such a variable."""
        return json_reply(await self._variables.exists(*await self._named(request)))

    async def listed(self, request: Request) -> Response:
        """The workspace's variables by path, without the secrets' values."""
        await self._gate.member(request)
        wanted = typed_query(request, PathFilter)
        return json_reply(await self._variables.listed(request.path_params["workspace"], wanted))

    async def create(self, request: Request) -> Response:
        """Make a variable."""
        await self._gate.member(request)
        asked = await typed_body(request, NewVariable)
        await self._variables.create(request.path_params["workspace"], asked)
        return text_reply(f"variable {asked.path} created", 201)

    async def update(self, request: Request) -> Response:
        """Change a variable; what is absent stays as it is."""
        workspace, path = await self._named(request)
        changed = await self._variables.update(workspace, path, await typed_body(request, VariableChange))
        return text_reply(f"variable {changed} updated")

    async def delete(self, request: Request) -> Response:
        """Delete a variable."""
        workspace, path = await self._named(request)
        await self._variables.delete(workspace, path)
        return text_reply(f"variable {path} deleted")

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["path"]


def routes(variables: Variables, gate: Gate) -> list[Described]:
    return VariableRoutes(variables, gate).all()
