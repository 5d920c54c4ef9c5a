"""Deployed flows over HTTP (openflow.md 4)."""

from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.flows.deployed import FlowFilter, Flows, NewFlow
from bridge.jobs.model import Seconds
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/flows"


class FlowAsked(Struct):
    """A flow that is to be deployed: an OpenFlow with its path."""

    path: str
    value: dict[str, Any]
    summary: str = ""
    description: str = ""
    schema: Any = None
    tag: str | None = None
    timeout: Seconds | None = None


class Archived(Struct):
    archived: bool = True


class DeployedRoutes:
    def __init__(self, flows: Flows, gate: Gate) -> None:
        self._flows = flows
        self._gate = gate

    def all(self) -> list[Described]:
        at = "{path:path}"
        told: dict[str, Any] = {"gives": str, "media": TEXT}
        return [
            Described("POST", f"{IN}/create", self.create, takes=FlowAsked, status=201, **told),
            Described("POST", f"{IN}/update/{at}", self.update, takes=FlowAsked, **told),
            Described("GET", f"{IN}/get/{at}", self.get, gives=dict[str, Any]),
            Described("GET", f"{IN}/list", self.listed, query=FlowFilter, gives=list[dict[str, Any]]),
            Described("GET", f"{IN}/exists/{at}", self.exists, gives=bool),
            Described("POST", f"{IN}/archive/{at}", self.archive, takes=Archived, **told),
            Described("DELETE", f"{IN}/delete/{at}", self.delete, **told),
        ]

    async def create(self, request: Request) -> Response:
        """Deploy a flow at a path that has none; its path."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewFlow)
        workspace = request.path_params["workspace"]
        return text_reply(await self._flows.create(workspace, asked, identity.username), 201)

    async def update(self, request: Request) -> Response:
        """Deploy a new version of a flow; another path in it renames the flow."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewFlow)
        workspace, path = self._of(request)
        return text_reply(await self._flows.update(workspace, path, asked, identity.username))

    async def get(self, request: Request) -> Response:
        """The newest version of a flow."""
        await self._gate.member(request)
        return json_reply(await self._flows.get(*self._of(request)))

    async def listed(self, request: Request) -> Response:
        """The flows of the workspace, newest first."""
        await self._gate.member(request)
        wanted = typed_query(request, FlowFilter)
        return json_reply(await self._flows.listed(request.path_params["workspace"], wanted))

    async def exists(self, request: Request) -> Response:
        """Whether a flow answers to a path."""
        await self._gate.member(request)
        return json_reply(await self._flows.exists(*self._of(request)))

    async def archive(self, request: Request) -> Response:
        """Its path answers no more; with `archived: false` it does again."""
        await self._gate.member(request)
        workspace, path = self._of(request)
        asked = await typed_body(request, Archived)
        await self._flows.archive(workspace, path, archived=asked.archived)
        return text_reply(f"Flow {path} {'archived' if asked.archived else 'unarchived'}")

    async def delete(self, request: Request) -> Response:
        """Delete a flow with all its versions; what runs goes on."""
        await self._gate.member(request)
        workspace, path = self._of(request)
        await self._flows.delete(workspace, path)
        return text_reply(f"Flow {path} deleted")

    def _of(self, request: Request) -> tuple[str, str]:
        return request.path_params["workspace"], request.path_params["path"]
