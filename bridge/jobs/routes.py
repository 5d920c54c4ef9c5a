"""Running, watching and cancelling jobs over HTTP (agent-api.md 8.1 to 8.3)."""

from typing import Any, Final

from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.jobs.details import Details
from bridge.jobs.flow_view import FlowView
from bridge.jobs.lanes import FLOW_KINDS
from bridge.jobs.model import (
    Cancel,
    Int64,
    Preview,
    PreviewAsSent,
    RunOptions,
    ScriptHash,
    ScriptPath,
    Source,
)
from bridge.jobs.ordering import code_of, order_of
from bridge.jobs.records import JobFilter, MaybeResult, QueueCount, Records, Update, Which
from bridge.jobs.scripts import Author, NewScript, NewScriptAsSent, ScriptFilter, Scripts
from bridge.jobs.service import Jobs
from bridge.tokens.gate import Gate
from bridge.tokens.model import Identity
from bridge.web.bodies import body_of, json_reply, raw_json, strict_json, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}"


class GetOptions(Struct):
    no_logs: bool = False
    no_code: bool = False


class UpdateOptions(Struct):
    running: bool = False
    log_offset: Int64 = 0
    stream_offset: Int64 = 0
    get_progress: bool = False


class Reason(Struct):
    reason: str | None = None


class RunRoutes:
    def __init__(self, jobs: Jobs, scripts: Scripts, gate: Gate) -> None:
        self._jobs = jobs
        self._scripts = scripts
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described(
                "POST", f"{IN}/jobs/run/preview", self.run_preview,
                takes=Preview, query=RunOptions, gives=str, status=201, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/jobs/run/p/{{path:path}}", self.run_path,
                takes=dict[str, Any], query=RunOptions, gives=str, status=201, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/jobs/run/h/{{hash}}", self.run_hash,
                takes=dict[str, Any], query=RunOptions, gives=str, status=201, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/jobs_u/queue/cancel/{{job_id}}", self.cancel,
                takes=Reason, gives=str, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/jobs_u/queue/force_cancel/{{job_id}}", self.force_cancel,
                takes=Reason, gives=str, media=TEXT,
            ),
            Described(
                "POST", f"{IN}/scripts/create", self.create_script,
                takes=NewScript, gives=str, status=201, media=TEXT,
            ),
            Described("GET", f"{IN}/scripts/get/p/{{path:path}}", self.script_at_path, gives=dict[str, Any]),
            Described("GET", f"{IN}/scripts/get/h/{{hash}}", self.script_of_hash, gives=dict[str, Any]),
            Described(
                "GET", f"{IN}/scripts/list", self.list_scripts,
                query=ScriptFilter, gives=list[dict[str, Any]],
            ),
        ]  # fmt: skip

    async def run_preview(self, request: Request) -> Response:
        """Run code once; the job's id."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, PreviewAsSent)
        return await self._pushed(request, identity, code_of(asked), bytes(asked.args))

    async def run_path(self, request: Request) -> Response:
        """Run the script at a path; the job's id."""
        identity = await self._gate.member(request)
        args = strict_json(await body_of(request) or b"{}")
        return await self._pushed(request, identity, ScriptPath(request.path_params["path"]), args)

    async def run_hash(self, request: Request) -> Response:
        """Run one version of a script; the job's id."""
        identity = await self._gate.member(request)
        args = strict_json(await body_of(request) or b"{}")
        return await self._pushed(request, identity, ScriptHash(request.path_params["hash"]), args)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job: it ends at once, or when its worker learns of it."""
        return await self._canceled(request, Cancel.ASKED)

    async def force_cancel(self, request: Request) -> Response:
        """Cancel a job at once, whatever its worker does."""
        return await self._canceled(request, Cancel.FORCED)

    async def create_script(self, request: Request) -> Response:
        """Deploy a script; its hash."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, NewScriptAsSent)
        author = Author(identity.username, identity.email)
        created = await self._scripts.create(request.path_params["workspace"], asked, author)
        return text_reply(created, 201)

    async def script_at_path(self, request: Request) -> Response:
        """The script that answers to a path now."""
        await self._gate.member(request)
        params = request.path_params
        return json_reply(await self._scripts.at_path(params["workspace"], params["path"]))

    async def script_of_hash(self, request: Request) -> Response:
        """One version of a script."""
        await self._gate.member(request)
        params = request.path_params
        return json_reply(await self._scripts.of_hash(params["workspace"], params["hash"]))

    async def list_scripts(self, request: Request) -> Response:
        """The scripts of the workspace, newest first."""
        await self._gate.member(request)
        wanted = typed_query(request, ScriptFilter)
        return json_reply(await self._scripts.heads(request.path_params["workspace"], wanted))

    async def _pushed(self, request: Request, identity: Identity, source: Source, args: bytes) -> Response:
        return text_reply(await self._jobs.push(order_of(request, identity, source, args)), 201)

    async def _canceled(self, request: Request, how: Cancel) -> Response:
        identity = await self._gate.member(request)
        reason = await typed_body(request, Reason) if await body_of(request) else Reason()
        workspace, job_id = request.path_params["workspace"], request.path_params["job_id"]
        await self._jobs.cancel(workspace, job_id, identity.username, reason.reason, how)
        return text_reply(job_id)


class WatchRoutes:
    def __init__(self, records: Records, details: Details, flows: FlowView, gate: Gate) -> None:
        self._records = records
        self._flows = flows
        self._details = details
        self._gate = gate

    def all(self) -> list[Described]:
        one, many = dict[str, Any], list[dict[str, Any]]
        watch = f"{IN}/jobs_u"
        return [
            Described(
                "GET", f"{watch}/completed/get_result_maybe/{{job_id}}", self.maybe_result, gives=MaybeResult
            ),
            Described("GET", f"{watch}/getupdate/{{job_id}}", self.update, query=UpdateOptions, gives=Update),
            Described("GET", f"{watch}/get/{{job_id}}", self.job, query=GetOptions, gives=one),
            Described("GET", f"{watch}/completed/get_result/{{job_id}}", self.result),
            Described("GET", f"{watch}/completed/get/{{job_id}}", self.completed, gives=one),
            Described("GET", f"{watch}/get_logs/{{job_id}}", self.logs, gives=str, media=TEXT),
            Described("GET", f"{IN}/jobs/list", self.list_all, query=JobFilter, gives=many),
            Described("GET", f"{IN}/jobs/queue/list", self.list_queued, query=JobFilter, gives=many),
            Described("GET", f"{IN}/jobs/completed/list", self.list_completed, query=JobFilter, gives=many),
            Described("GET", f"{IN}/jobs/queue/count", self.count, gives=QueueCount),
        ]

    async def maybe_result(self, request: Request) -> Response:
        """The result, if there is one yet."""
        return json_reply(await self._records.maybe_result(*await self._named(request)))

    async def update(self, request: Request) -> Response:
        """Where the job stands, and its text and streamed result after their offsets."""
        workspace, job_id = await self._named(request)
        asked = typed_query(request, UpdateOptions)
        update, kind = await self._records.update(workspace, job_id, max(0, asked.log_offset))
        streamed = await self._details.stream(workspace, job_id, max(0, asked.stream_offset))
        if streamed.length:
            update.new_result_stream, update.stream_offset = streamed.text, streamed.length
        if asked.get_progress:
            update.progress = await self._details.progress(workspace, job_id)
        if kind in FLOW_KINDS and (status := await self._flows.status(workspace, job_id)) is not None:
            update.flow_status = Raw(status)
        return json_reply(update)

    async def job(self, request: Request) -> Response:
        """A job, queued or completed, told apart by `type`."""
        workspace, job_id = await self._named(request)
        options = typed_query(request, GetOptions)
        record = await self._records.job(
            workspace, job_id, with_logs=not options.no_logs, with_code=not options.no_code
        )
        return json_reply(await self._whole(record, with_code=not options.no_code))

    async def result(self, request: Request) -> Response:
        """The result as the job gave it; 404 until the job is completed."""
        return raw_json(await self._records.result(*await self._named(request)))

    async def completed(self, request: Request) -> Response:
        """A completed job; 404 until then."""
        record = await self._records.completed(*await self._named(request))
        return json_reply(await self._whole(record, with_code=True))

    async def logs(self, request: Request) -> Response:
        """The job's text."""
        return text_reply(await self._records.logs(*await self._named(request)))

    async def list_all(self, request: Request) -> Response:
        """Jobs, newest first."""
        return await self._listed(request, Which.ALL)

    async def list_queued(self, request: Request) -> Response:
        """Jobs without a result yet, newest first."""
        return await self._listed(request, Which.QUEUED)

    async def list_completed(self, request: Request) -> Response:
        """Jobs with a result, newest first."""
        return await self._listed(request, Which.COMPLETED)

    async def count(self, request: Request) -> Response:
        """How many due jobs wait for a worker."""
        await self._gate.member(request)
        return json_reply(await self._records.waiting(request.path_params["workspace"]))

    async def _listed(self, request: Request, which: Which) -> Response:
        await self._gate.member(request)
        wanted = typed_query(request, JobFilter)
        workspace = request.path_params["workspace"]
        return json_reply(await self._records.newest(workspace, wanted, which))

    async def _whole(self, record: dict[str, Any], *, with_code: bool) -> dict[str, Any]:
        """With what only a flow has."""
        if record["job_kind"] in FLOW_KINDS:
            key = record["workspace_id"], record["id"]
            status = await self._flows.status(*key)
            record["flow_status"] = None if status is None else Raw(status)
            flow = await self._flows.raw_flow(*key) if with_code else None
            record["raw_flow"] = None if flow is None else Raw(flow)
        return record

    async def _named(self, request: Request) -> tuple[str, str]:
        await self._gate.member(request)
        return request.path_params["workspace"], request.path_params["job_id"]


def routes(
    jobs: Jobs, records: Records, details: Details, scripts: Scripts, flows: FlowView, gate: Gate
) -> list[Described]:
    return [*WatchRoutes(records, details, flows, gate).all(), *RunRoutes(jobs, scripts, gate).all()]
