"""What the SDK asks about one job beside its record (agent-api.md 8.2, 8.5)."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.jobs.details import Details, Progress, Timing
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, raw_json, typed_body, unit
from bridge.web.described import Described

IN: Final = "/api/w/{workspace}"


class DetailRoutes:
    def __init__(self, details: Details, gate: Gate) -> None:
        self._details = details
        self._gate = gate

    def all(self) -> list[Described]:
        of, metrics = "{job_id}", f"{IN}/job_metrics"
        return [
            Described("POST", f"{metrics}/set_progress/{of}", self.set_progress, takes=Progress, gives=None),
            Described("GET", f"{metrics}/get_progress/{of}", self.progress, gives=int | None),
            Described("GET", f"{IN}/jobs_u/get_root_job_id/{of}", self.root, gives=str),
            Described("GET", f"{IN}/jobs_u/get_args/{of}", self.args, gives=dict[str, Any]),
            Described("GET", f"{IN}/jobs_u/completed/get_timing/{of}", self.timing, gives=Timing),
            Described("GET", f"{IN}/jobs/worker_is_draining/{of}", self.draining, gives=bool),
        ]

    async def set_progress(self, request: Request) -> Response:
        """How far a running job is, in percent."""
        workspace, job_id = await self._named(request)
        asked = await typed_body(request, Progress)
        await self._details.set_progress(workspace, job_id, asked.percent)
        return unit()

    async def progress(self, request: Request) -> Response:
        """How far a job is, in percent, or null."""
        return json_reply(await self._details.progress(*await self._named(request)))

    async def root(self, request: Request) -> Response:
        """The flow that all this began with: of what is no step of one, the job itself."""
        row = await self._details.require(*await self._named(request))
        return json_reply(row["root_job"] or row["id"])

    async def args(self, request: Request) -> Response:
        """The job's arguments as they were given, with `$var:` and `$res:` unresolved."""
        row = await self._details.require(*await self._named(request))
        return raw_json(row["args"])

    async def timing(self, request: Request) -> Response:
        """When a completed job was made and started, and how long it took."""
        return json_reply(await self._details.timing(*await self._named(request)))

    async def draining(self, request: Request) -> Response:
        """Whether the job's worker is about to end: an edge agent lets its jobs finish, so never."""
        await self._details.require(*await self._named(request))
        return json_reply(value=False)

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["job_id"]


def routes(details: Details, gate: Gate) -> list[Described]:
    return DetailRoutes(details, gate).all()
