"""Running a flow over HTTP, with and without waiting for its result (openflow.md 4)."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import BadRequest
from bridge.flows.deployed import Flows, preview_of
from bridge.flows.restarts import Restarts
from bridge.jobs.model import NO_ARGS, FlowText, Int64, Order, RunOptions
from bridge.jobs.ordering import order_of
from bridge.jobs.service import Jobs
from bridge.jobs.wait_routes import WaitOptions, args_of, waited
from bridge.jobs.waiting import Waiting
from bridge.tokens.gate import Gate
from bridge.web.bodies import strict_json, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/jobs"
FAILED: Final = 422  # of a flow that failed, whose result says why


class FlowOptions(RunOptions):
    """As for every run; `skip_preprocessor`: the arguments are already as the flow wants them."""

    skip_preprocessor: bool = False


class FlowWaitOptions(WaitOptions):
    skip_preprocessor: bool = False


class FlowPreview(Struct):
    """Run this flow once."""

    value: dict[str, Any]
    args: Any = None
    path: str | None = None
    tag: str | None = None


class FlowPreviewAsSent(Struct):
    """As `FlowPreview`, with flow and arguments unread: their text is kept as it came."""

    value: Raw
    args: Raw = NO_ARGS
    path: str | None = None
    tag: str | None = None
    restarted_from: Any = None


class Restart(Struct):
    """Where to begin anew: at a step, or at an iteration or branch of it."""

    step_id: str
    branch_or_iteration_n: Int64 | None = None
    flow_version: Int64 | None = None
    nested_path: Any = None


Ordered = Callable[[Request], Awaitable[Order]]


class RunRoutes:
    def __init__(
        self,
        jobs: Jobs,
        flows: Flows,
        restarts: Restarts,
        waiting: Waiting,
        gate: Gate,
    ) -> None:
        self._jobs = jobs
        self._flows = flows
        self._restarts = restarts
        self._waiting = waiting
        self._gate = gate

    def all(self) -> list[Described]:
        run: dict[str, Any] = {"gives": str, "status": 201, "media": TEXT}
        wait: dict[str, Any] = {"query": FlowWaitOptions, "gives": Any}
        by_path, by_version, result = "f/{path:path}", "fv/{version}", f"{IN}/run_wait_result"
        return [
            Described("POST", f"{IN}/run/{by_path}", self.path,
                      takes=dict[str, Any], query=FlowOptions, **run),
            Described("POST", f"{IN}/run/{by_version}", self.version,
                      takes=dict[str, Any], query=FlowOptions, **run),
            Described("POST", f"{IN}/run/preview_flow", self.preview,
                      takes=FlowPreview, query=RunOptions, **run),
            Described("POST", f"{IN}/restart/f/{{job_id}}", self.restart,
                      takes=Restart, query=RunOptions, **run),
            Described("POST", f"{result}/{by_path}", self.wait_path, takes=dict[str, Any], **wait),
            Described("GET", f"{result}/{by_path}", self.wait_path, **wait),
            Described("POST", f"{result}/{by_version}", self.wait_version, takes=dict[str, Any], **wait),
            Described("POST", f"{result}/preview_flow", self.wait_preview, takes=FlowPreview, **wait),
        ]  # fmt: skip

    async def path(self, request: Request) -> Response:
        """Run the flow at a path; the job's id."""
        return await self._pushed(await self._of_path(request))

    async def version(self, request: Request) -> Response:
        """Run one version of a flow; the job's id."""
        return await self._pushed(await self._of_version(request))

    async def preview(self, request: Request) -> Response:
        """Run a flow once that is not deployed; the job's id."""
        return await self._pushed(await self._of_preview(request))

    async def wait_path(self, request: Request) -> Response:
        """Run the flow at a path and answer with its result."""
        return await self._waited(request, await self._of_path(request))

    async def wait_version(self, request: Request) -> Response:
        """Run one version of a flow and answer with its result."""
        return await self._waited(request, await self._of_version(request))

    async def wait_preview(self, request: Request) -> Response:
        """Run a flow once that is not deployed, and answer with its result."""
        return await self._waited(request, await self._of_preview(request))

    async def restart(self, request: Request) -> Response:
        """Run an ended flow again from one of its steps on, as a new job; its id."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, Restart)
        if asked.flow_version is not None or asked.nested_path:
            raise BadRequest(
                "flow_version and nested_path are not served: a flow is restarted as it was, at its own step"
            )
        workspace, job_id = request.path_params["workspace"], request.path_params["job_id"]
        source, args = await self._restarts.source(
            workspace, job_id, asked.step_id, asked.branch_or_iteration_n
        )
        return await self._pushed(order_of(request, identity, source, args))

    async def _of_path(self, request: Request) -> Order:
        identity = await self._gate.member(request)
        workspace, path = request.path_params["workspace"], request.path_params["path"]
        source = await self._flows.source(workspace, path, preprocess=_preprocesses(request))
        return order_of(request, identity, source, await args_of(request))

    async def _of_version(self, request: Request) -> Order:
        identity = await self._gate.member(request)
        wanted = _version_of(request.path_params["version"])
        workspace = request.path_params["workspace"]
        source = await self._flows.source_of_version(workspace, wanted, preprocess=_preprocesses(request))
        return order_of(request, identity, source, await args_of(request))

    async def _of_preview(self, request: Request) -> Order:
        identity = await self._gate.member(request)
        asked = await typed_body(request, FlowPreviewAsSent)
        if asked.restarted_from is not None:
            raise BadRequest("restarted_from is not served: run the flow again with jobs/restart/f/<its job>")
        source: FlowText = preview_of(bytes(asked.value), asked.path or None, asked.tag or None)
        return order_of(request, identity, source, strict_json(bytes(asked.args)))

    async def _pushed(self, order: Order) -> Response:
        return text_reply(await self._jobs.push(order), 201)

    async def _waited(self, request: Request, order: Order) -> Response:
        return await waited(request, self._waiting, order, FAILED)


def _preprocesses(request: Request) -> bool:
    return not typed_query(request, FlowOptions).skip_preprocessor


def _version_of(text: str) -> int:
    """Raises `BadRequest`."""
    if not text.isascii() or not text.isdecimal() or int(text) >= 2**63:
        raise BadRequest(f"a flow's version is a whole number, not {text[:40]!r}")
    return int(text)
