"""Schedules over HTTP, for people and jobs of the workspace."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.schedules.model import (
    Enabled,
    NewSchedule,
    NewScheduleAsSent,
    ScheduleChange,
    ScheduleChangeAsSent,
    ScheduleFilter,
    ScheduleRow,
    ScheduleTiming,
)
from bridge.schedules.service import Schedules
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/schedules"


class ScheduleRoutes:
    def __init__(self, schedules: Schedules, gate: Gate) -> None:
        self._schedules = schedules
        self._gate = gate

    def all(self) -> list[Described]:
        at = "{path:path}"
        return [
            Described("GET", f"{IN}/get/{at}", self.one, gives=ScheduleRow),
            Described("GET", f"{IN}/exists/{at}", self.exists, gives=bool),
            Described("GET", f"{IN}/list", self.listed, query=ScheduleFilter, gives=list[ScheduleRow]),
            Described("POST", f"{IN}/create", self.create, takes=NewSchedule, gives=str, media=TEXT),
            Described("POST", f"{IN}/update/{at}", self.update, takes=ScheduleChange, gives=str, media=TEXT),
            Described(
                "POST", f"{IN}/setenabled/{at}", self.set_enabled, takes=Enabled, gives=str, media=TEXT
            ),
            Described("DELETE", f"{IN}/delete/{at}", self.delete, gives=str, media=TEXT),
            Described("POST", "/api/schedules/preview", self.preview, takes=ScheduleTiming, gives=list[str]),
        ]

    async def one(self, request: Request) -> Response:
        """A schedule."""
        return json_reply(await self._schedules.one(*await self._named(request)))

    async def exists(self, request: Request) -> Response:
        """Whether there is such a schedule."""
        return json_reply(await self._schedules.exists(*await self._named(request)))

    async def listed(self, request: Request) -> Response:
        """The workspace's schedules, the one edited last first."""
        await self._gate.member(request)
        wanted = typed_query(request, ScheduleFilter)
        return json_reply(await self._schedules.listed(request.path_params["workspace"], wanted))

    async def create(self, request: Request) -> Response:
        """Make a schedule; its path. It is not enabled unless that is said."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewScheduleAsSent)
        await self._schedules.create(request.path_params["workspace"], asked, identity)
        return text_reply(asked.path)

    async def update(self, request: Request) -> Response:
        """Replace what a schedule says; its path. It stays enabled or not."""
        identity = await self._gate.member(request)
        workspace, path = await self._named(request)
        asked = await typed_body(request, ScheduleChangeAsSent)
        await self._schedules.update(workspace, path, asked, identity)
        return text_reply(path)

    async def set_enabled(self, request: Request) -> Response:
        """Let a schedule's ticks push jobs, or not."""
        identity = await self._gate.member(request)
        workspace, path = await self._named(request)
        asked = await typed_body(request, Enabled)
        await self._schedules.set_enabled(workspace, path, identity, enabled=asked.enabled)
        return text_reply(f"schedule {path} is {'enabled' if asked.enabled else 'not enabled'}")

    async def delete(self, request: Request) -> Response:
        """Delete a schedule; jobs that it has pushed stay."""
        workspace, path = await self._named(request)
        await self._schedules.delete(workspace, path)
        return text_reply(f"schedule {path} deleted")

    async def preview(self, request: Request) -> Response:
        """When a schedule would be due the next five times."""
        await self._gate.anyone(request)
        return json_reply(self._schedules.upcoming(await typed_body(request, ScheduleTiming)))

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["path"]


def routes(schedules: Schedules, gate: Gate) -> list[Described]:
    return ScheduleRoutes(schedules, gate).all()
