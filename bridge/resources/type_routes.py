"""Resource types over HTTP."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.resources.model import (
    NewResourceType,
    NewResourceTypeAsSent,
    ResourceTypeChange,
    ResourceTypeChangeAsSent,
    ResourceTypeRow,
)
from bridge.resources.types import ResourceTypes
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_body
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/resources/type"


class ResourceTypeRoutes:
    def __init__(self, types: ResourceTypes, gate: Gate) -> None:
        self._types = types
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described("GET", f"{IN}/get/{{name}}", self.one, gives=ResourceTypeRow),
            Described("GET", f"{IN}/exists/{{name}}", self.exists, gives=bool),
            Described("GET", f"{IN}/list", self.listed, gives=list[ResourceTypeRow]),
            Described("GET", f"{IN}/listnames", self.names, gives=list[str]),
            Described(
                "POST", f"{IN}/create", self.create, takes=NewResourceType, gives=str, status=201, media=TEXT
            ),
            Described(
                "POST", f"{IN}/update/{{name}}", self.update, takes=ResourceTypeChange, gives=str, media=TEXT
            ),
            Described("DELETE", f"{IN}/delete/{{name}}", self.delete, gives=str, media=TEXT),
        ]

    async def one(self, request: Request) -> Response:
        """A resource type."""
        return json_reply(await self._types.one(*await self._named(request)))

    async def exists(self, request: Request) -> Response:
        """Whether there is such a resource type."""
        return json_reply(await self._types.exists(*await self._named(request)))

    async def listed(self, request: Request) -> Response:
        """The workspace's resource types by name."""
        await self._gate.member(request)
        return json_reply(await self._types.listed(request.path_params["workspace"]))

    async def names(self, request: Request) -> Response:
        """The names of the workspace's resource types."""
        await self._gate.member(request)
        return json_reply([one.name for one in await self._types.listed(request.path_params["workspace"])])

    async def create(self, request: Request) -> Response:
        """Make a resource type."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewResourceTypeAsSent)
        await self._types.create(request.path_params["workspace"], asked, identity.username)
        return text_reply(f"resource_type {asked.name} created", 201)

    async def update(self, request: Request) -> Response:
        """Change a resource type; what is absent stays as it is."""
        workspace, name = await self._named(request)
        await self._types.update(workspace, name, await typed_body(request, ResourceTypeChangeAsSent))
        return text_reply(f"resource_type {name} updated")

    async def delete(self, request: Request) -> Response:
        """Delete a resource type."""
        workspace, name = await self._named(request)
        await self._types.delete(workspace, name)
        return text_reply(f"resource_type {name} deleted")

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["name"]


def routes(types: ResourceTypes, gate: Gate) -> list[Described]:
    return ResourceTypeRoutes(types, gate).all()
