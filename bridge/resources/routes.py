"""Resources over HTTP, for people and jobs of the workspace (agent-api.md 8.5)."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.resources.interpolation import Interpolation
from bridge.resources.model import (
    CreateOptions,
    NewResource,
    NewResourceAsSent,
    NewValue,
    NewValueAsSent,
    ResourceChange,
    ResourceChangeAsSent,
    ResourceFilter,
    ResourceRow,
)
from bridge.resources.service import Resources
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, raw_json, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/resources"


class ResourceRoutes:
    def __init__(self, resources: Resources, interpolation: Interpolation, gate: Gate) -> None:
        self._resources = resources
        self._interpolation = interpolation
        self._gate = gate

    def all(self) -> list[Described]:
        at = "{path:path}"
        return [
            Described("GET", f"{IN}/get_value_interpolated/{at}", self.interpolated, gives=Any),
            Described("GET", f"{IN}/get_value/{at}", self.value, gives=Any),
            Described("GET", f"{IN}/get/{at}", self.one, gives=ResourceRow),
            Described("GET", f"{IN}/exists/{at}", self.exists, gives=bool),
            Described("GET", f"{IN}/list", self.listed, query=ResourceFilter, gives=list[ResourceRow]),
            Described(
                "POST", f"{IN}/create", self.create,
                takes=NewResource, query=CreateOptions, gives=str, status=201, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/update_value/{at}", self.set_value, takes=NewValue, gives=str, media=TEXT
            ),
            Described("POST", f"{IN}/update/{at}", self.update, takes=ResourceChange, gives=str, media=TEXT),
            Described("DELETE", f"{IN}/delete/{at}", self.delete, gives=str, media=TEXT),
        ]  # fmt: skip

    async def interpolated(self, request: Request) -> Response:
        """A resource's value with the variables and resources that it names."""
        return raw_json(await self._interpolation.resource(*await self._named(request)))

    async def value(self, request: Request) -> Response:
        """A resource's value as it was set."""
        return raw_json(await self._resources.value(*await self._named(request)))

    async def one(self, request: Request) -> Response:
        """A resource."""
        return json_reply(await self._resources.one(*await self._named(request)))

    async def exists(self, request: Request) -> Response:
        """Whether there is such a resource."""
        return json_reply(await self._resources.exists(*await self._named(request)))

    async def listed(self, request: Request) -> Response:
        """The workspace's resources by path, without their values."""
        await self._gate.member(request)
        wanted = typed_query(request, ResourceFilter)
        return json_reply(await self._resources.listed(request.path_params["workspace"], wanted))

    async def create(self, request: Request) -> Response:
        """Make a resource."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewResourceAsSent)
        options = typed_query(request, CreateOptions)
        workspace: str = request.path_params["workspace"]
        await self._resources.create(
            workspace, asked, identity.username, update_if_exists=options.update_if_exists
        )
        return text_reply(f"resource {asked.path} created", 201)

    async def set_value(self, request: Request) -> Response:
        """Set a resource's value; so a job keeps its state."""
        workspace, path = await self._named(request)
        sent = await typed_body(request, NewValueAsSent)
        await self._resources.set_value(workspace, path, sent.value)
        return text_reply(f"value of resource {path} updated")

    async def update(self, request: Request) -> Response:
        """Change a resource; what is absent stays as it is."""
        workspace, path = await self._named(request)
        change = await typed_body(request, ResourceChangeAsSent)
        return text_reply(f"resource {await self._resources.update(workspace, path, change)} updated")

    async def delete(self, request: Request) -> Response:
        """Delete a resource."""
        return text_reply(f"resource {await self._resources.delete(*await self._named(request))} deleted")

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["path"]


def routes(resources: Resources, interpolation: Interpolation, gate: Gate) -> list[Described]:
    return ResourceRoutes(resources, interpolation, gate).all()
