"""The agent endpoints (agent-api.md 2.1). A unit is `null` and a string a JSON string, in every answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from agent.wire.claims import Claims
from agent.wire.repeatable import FIRST, PULL_JOB, PUSH_LOGS, REQUEST_ID, headers_of
from bridge.agents.holding import Holding
from bridge.agents.model import (
    HeldJobs,
    HeldReply,
    HeldScript,
    InitScript,
    JobCancelled,
    JobCompleted,
    JobCompletedAsSent,
    JobPing,
    JobPingReply,
    LogPlace,
    Ping,
    PullFrom,
    SameWorkerJob,
)
from bridge.agents.offered import Offered
from bridge.agents.service import Workers
from bridge.agents.trust import Trust
from bridge.errors import BadRequest, NotAuthorized, NotFound, PermissionDenied
from bridge.jobs.details import Details, StreamPiece
from bridge.jobs.model import Completed, Completion, Pulled
from bridge.jobs.parts import Part, Parts
from bridge.jobs.service import Jobs
from bridge.offline.service import Luggage, as_taken_along
from bridge.tokens.gate import Gate
from bridge.variables.environment import Environments
from bridge.web.asgi import RESULT_MAX_BYTES
from bridge.web.bodies import body_of, decoded, json_reply, raw_json, typed_body, typed_query, unit
from bridge.web.described import Described
from bridge.web.waiting import unless_gone, wait_s_of

API_VERSION: Final = "1.600.0"  # of the agent API that we speak

# What agents ask for (agent-api.md 2.6). Everything else is refused, set or not: a new secret setting is
# then no leak that somebody has to think of.
READABLE: Final = frozenset(
    {
        "license_key", "base_url", "hub_base_url", "hub_api_secret", "expose_metrics",
        "expose_debug_metrics", "critical_alert_mute_ui", "keep_job_dir", "job_default_timeout",
        "job_isolation", "pip_extra_index_url", "pip_index_url", "uv_index_strategy",
        "npm_config_registry", "bunfig_install_scopes", "instance_python_version", "nuget_config",
        "powershell_repo_url", "powershell_repo_pat", "maven_repos", "maven_settings_xml",
        "no_default_maven", "ruby_repos", "cargo_registries", "npmrc",
    }
)  # fmt: skip
Pair = Annotated[list[str], Meta(min_length=2, max_length=2)]  # a tuple has no schema in OpenAPI 3.1
REQUEST_ID_MAX: Final = 100

LuggageFor = Callable[[Pulled, str], Awaitable[Luggage]]  # a job, and the device that takes it

ALL: Final = "/api/agent_workers"
IN: Final = "/api/w/{workspace}/agent_workers"


class AgentApi:
    def __init__(
        self,
        jobs: Jobs,
        parts: Parts,
        holding: Holding,
        details: Details,
        environments: Environments,
        workers: Workers,
        gate: Gate,
        base_url: str,
        trust: Trust,
        offered: Offered,
        luggage: LuggageFor,
    ) -> None:
        self._trust = trust
        self._offered = offered
        self._luggage = luggage
        self._parts = parts
        self._holding = holding
        self._environments = environments
        self._jobs = jobs
        self._details = details
        self._workers = workers
        self._gate = gate
        self._settings: dict[str, str] = {"base_url": base_url}

    def all(self) -> list[Described]:
        return [
            Described("POST", f"{ALL}/pull_job", self.pull_job, takes=bool | None, query=PullFrom),
            Described("POST", f"{ALL}/held_jobs", self.held_jobs, takes=HeldJobs, gives=HeldReply),
            Described("POST", f"{ALL}/ping_job_status/{{job_id}}", self.ping_job,
                      takes=JobPing, gives=JobPingReply),
            Described("POST", f"{ALL}/update_ping", self.update_ping, takes=Ping, gives=None),
            Described("POST", f"{IN}/send_result/{{job_id}}", self.send_result,
                      takes=JobCompleted, gives=str, max_body_bytes=RESULT_MAX_BYTES),
            Described("POST", f"{IN}/result_part/{{job_id}}", self.result_part, query=Part, gives=str),
            Described("POST", f"{IN}/push_logs/{{job_id}}", self.push_logs,
                      takes=str, query=LogPlace, gives=str),
            Described("POST", f"{ALL}/set_job_cancelled/{{job_id}}", self.set_job_cancelled,
                      takes=JobCancelled, gives=None),
            Described("POST", f"{ALL}/queue_init_job", self.queue_init_job, takes=InitScript, gives=str),
            Described("POST", f"{ALL}/queue_periodic_job", self.queue_periodic_job,
                      takes=InitScript, gives=str),
            Described("POST", f"{IN}/push_result_stream/{{job_id}}", self.push_result_stream,
                      takes=StreamPiece, gives=str),
            Described("GET", f"{ALL}/script/{{hash}}", self.script, gives=HeldScript),
            Described("POST", f"{ALL}/same_worker_job/{{job_id}}", self.same_worker_job,
                      takes=SameWorkerJob, gives=dict[str, Any] | None),
            Described("GET", f"{ALL}/get_global_setting/{{key}}", self.global_setting),
            Described("GET", f"{ALL}/get_min_version", self.min_version, gives=str),
            Described("GET", f"{IN}/custom_envs", self.custom_envs, gives=list[Pair]),
        ]  # fmt: skip

    async def pull_job(self, request: Request) -> Response:
        """The best ready job of the token's tags, or null; `true` asks for a shell, and gets null.

        With the header `Idempotency-Key` a request that is sent again gets the job that it got before
        (`Orvanta-First` says that this key was never sent); with `Prefer: wait=<seconds>` it is answered as
        soon as there is a job.
        """
        claims = await self._gate.agent(request)
        body = await body_of(request)
        if body and decoded(body, bool | None):  # type: ignore[arg-type] # mypy takes no union as a type value
            return unit()
        request_id = request.headers.get(REQUEST_ID)
        if request_id is not None and not 0 < len(request_id) <= REQUEST_ID_MAX:
            raise BadRequest(f"Idempotency-Key must have 1 to {REQUEST_ID_MAX} characters")
        asked = typed_query(request, PullFrom)
        tags = sorted(asked.wanted(claims.tags))
        if await self._workers.drained.holds(claims.worker):
            tags = []
        wait_s = wait_s_of(request)
        if wait_s:
            self._workers.heard(claims)
        is_repeat = FIRST not in request.headers
        pulling = self._jobs.pull_in_time(
            claims.worker, tags, request_id, wait_s, is_repeat=is_repeat, languages=asked.runs()
        )
        pulled = await unless_gone(request, pulling, self._gate.until_ended(claims))
        reply = unit() if pulled is None else raw_json(await self._packed(pulled, claims))
        if pulled is not None and request_id is not None:
            reply.headers.update(self._trust.handed_out(claims, request_id, bytes(reply.body)))
        reply.headers.update(await self._trust.renewal(claims))
        return reply

    async def _packed(self, pulled: Pulled, claims: Claims) -> bytes:
        """With what an agent of ours takes along for when it has no link."""
        if not claims.device:
            return pulled.as_json()
        return pulled.as_json(as_taken_along(await self._luggage(pulled, claims.device)))

    async def held_jobs(self, request: Request) -> Response:
        """These jobs are at the worker: what is not as it believes; ours.

        With `Prefer: wait=<seconds>` it is answered as soon as there is something to say.
        """
        claims = await self._gate.agent(request)
        held = await typed_body(request, HeldJobs)
        await self._holding.take_back(claims.worker, held)  # to its end, even if the client leaves
        hearing = self._holding.heard(claims.worker, held, wait_s_of(request))
        reply = json_reply(await unless_gone(request, hearing, self._gate.until_ended(claims)))
        reply.headers.update(await self._trust.renewal(claims))
        return reply

    async def send_result(self, request: Request) -> Response:
        """Record how a job ended. The first wins; a later one is answered 200 too and changes nothing.

        With a token that is refused it is answered 401, and may be kept for an operator to decide on.
        """
        try:
            claims = await self._gate.agent(request)
        except NotAuthorized as refusal:
            return await self._offered.refuse(request, refusal)
        workspace, job_id = request.path_params["workspace"], request.path_params["job_id"]
        await self._trust.require_signed(request, claims, job_id, await body_of(request))
        sent = await typed_body(request, JobCompletedAsSent)
        by = sent.canceled_by
        result = bytes(sent.result)
        if sent.result_sha256 is not None:
            result = await self._parts.assembled(job_id, sent.result_sha256)
        completion = Completion(
            success=sent.success,
            result=result,
            duration_ms=sent.duration if isinstance(sent.duration, int) else None,
            mem_peak_kb=sent.mem_peak,
            canceled_by=None if by is None else by.username or "unknown",
            canceled_reason=None if by is None else by.reason,
            states=sent.states,
            may_retry=sent.duration is not None,  # what nobody began is not followed by another (I2)
        )
        outcome = await self._jobs.complete(workspace, job_id, completion, caller=claims)
        if outcome is Completed.UNKNOWN:
            raise NotFound(f"job {job_id} not found in workspace {workspace} among the token's tags")
        if outcome is Completed.DISTRUSTED:
            await self._offered.keep_apart(workspace, job_id, claims.worker, sent, result)
        return json_reply(outcome.value)

    async def result_part(self, request: Request) -> Response:
        """Keep one part of a large result, before `send_result` names it by its SHA-256; ours."""
        claims = await self._gate.agent(request)
        place = typed_query(request, Part)
        params = request.path_params
        await self._parts.keep(params["workspace"], params["job_id"], place, await body_of(request), claims)
        return json_reply("ok")

    async def update_ping(self, request: Request) -> Response:
        """The worker is there."""
        claims = await self._gate.agent(request)
        self._workers.ping(claims, await typed_body(request, Ping))
        return unit()

    async def ping_job(self, request: Request) -> Response:
        """The worker has the job still; is it cancelled, or no longer this worker's?"""
        claims = await self._gate.agent(request)
        ping = await typed_body(request, JobPing)
        reply = await self._jobs.ping(request.path_params["job_id"], claims.worker, ping.mem_peak)
        return json_reply(
            JobPingReply(
                canceled_by=reply.canceled_by,
                canceled_reason=reply.canceled_reason,
                already_completed=reply.already_completed,
            )
        )

    async def set_job_cancelled(self, request: Request) -> Response:
        """The worker is about to stop the job itself."""
        claims = await self._gate.agent(request)
        asked = await typed_body(request, JobCancelled)
        job_id = request.path_params["job_id"]
        await self._jobs.flag_canceled(job_id, asked.canceled_by, asked.reason, caller=claims)
        return unit()

    async def push_logs(self, request: Request) -> Response:
        """Append to the job's text; with the query `offset` a repeated chunk changes nothing."""
        claims = await self._gate.agent(request)
        text = await typed_body(request, str)
        place = typed_query(request, LogPlace)
        await self._jobs.append_log(
            request.path_params["workspace"],
            request.path_params["job_id"],
            text,
            writer=place.writer or claims.worker,
            offset=place.offset,
            caller=claims,
        )
        return json_reply("ok")

    async def queue_init_job(self, request: Request) -> Response:
        """Queue the worker's init script. Its job token reaches that job and nothing else."""
        claims = await self._gate.agent(request)
        asked = await typed_body(request, InitScript)
        return json_reply(await self._jobs.push_init(claims.worker, asked.content))

    async def queue_periodic_job(self, request: Request) -> Response:
        """Queue one turn of the worker's periodic script. Its job token reaches that job and nothing else."""
        claims = await self._gate.agent(request)
        asked = await typed_body(request, InitScript)
        return json_reply(await self._jobs.push_init(claims.worker, asked.content, periodic=True))

    async def push_result_stream(self, request: Request) -> Response:
        """Append to the job's streamed result; a repeated piece changes nothing."""
        claims = await self._gate.agent(request)
        piece = await typed_body(request, StreamPiece)
        params = request.path_params
        await self._details.append_stream(params["workspace"], params["job_id"], piece, claims)
        return json_reply("ok")

    async def script(self, request: Request) -> Response:
        """The code of a deployed script that a job of this worker runs, by its hash as a decimal number."""
        claims = await self._gate.agent(request)
        return json_reply(await self._workers.script_held(claims, hash_of(request.path_params["hash"])))

    async def same_worker_job(self, request: Request) -> Response:
        """The job that this worker queued for itself, or null."""
        claims = await self._gate.agent(request)
        await typed_body(request, SameWorkerJob)
        held = await self._jobs.held(request.path_params["job_id"], claims.worker)
        return unit() if held is None else raw_json(held.as_json())

    async def global_setting(self, request: Request) -> Response:
        """One of the settings that are for agents, or null; every other is refused."""
        await self._gate.agent(request)
        key = request.path_params["key"]
        if key not in READABLE:
            raise PermissionDenied(f"setting {key[:60]} is not for agents")
        return json_reply(self._settings.get(key))

    async def min_version(self, request: Request) -> Response:
        """The lowest version of the agent API in use. Also the cheapest way to try a token.

        The header `Orvanta-Repeatable` names the calls that may be sent again after a lost answer.
        """
        await self._gate.agent(request)
        reply = json_reply(API_VERSION)
        reply.headers.update(headers_of(PULL_JOB, PUSH_LOGS))
        return reply

    async def custom_envs(self, request: Request) -> Response:
        """The environment of the workspace's jobs; empty for a worker that runs none of them."""
        claims = await self._gate.agent(request)
        workspace = request.path_params["workspace"]
        return json_reply(await self._environments.of_held(workspace, claims.worker))


def hash_of(number: str) -> str:
    """A script's hash from its number: the same 64 bits, read as a signed one. Raises `BadRequest`."""
    try:
        return int(number).to_bytes(8, "big", signed=True).hex()
    except (ValueError, OverflowError):
        raise BadRequest(f"the hash must be a decimal 64-bit number, not {number[:40]!r}") from None
