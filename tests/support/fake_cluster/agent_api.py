"""The agent API of a foreign cluster, as agent-api.md has it, refusing what a real one would refuse."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import jwt

from tests.support.fake_cluster import shapes
from tests.support.fake_cluster.jobs import FakeJob, FakeJobs, hash_of, parsed
from tests.support.fake_cluster.shapes import WrongShape, fits, is_text

SECRET: Final = "s3cret-s3cret-s3cret-s3cret-s3cr"
PREFIX: Final = "jwt_agent_"
BLOCKED: Final = frozenset({"jwt_secret", "oauths", "smtp_settings"})  # and more (agent-api.md 2.6)
GLOBAL: Final = "/api/agent_workers"
WORKSPACE: Final = r"/api/w/(?P<workspace>[^/]+)"
IN: Final = f"{WORKSPACE}/agent_workers"


class Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at_s: float = field(default_factory=time.monotonic)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    worker: str
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Asked:
    caller: Caller
    place: dict[str, str]  # what the path names
    body: Any


@dataclass
class AgentApi:
    """One instance: its jobs, scripts, environments, and the workers that pinged."""

    jobs: FakeJobs = field(default_factory=FakeJobs)
    scripts: dict[str, str] = field(default_factory=dict)  # hex hash → code
    flow_scripts: dict[str, str] = field(default_factory=dict)  # hex id → code
    environments: dict[str, list[list[str]]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)  # by path, in every workspace
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)  # name → its last ping
    min_version: str = "1.640.0"

    def token(self, *tags: str, group: str = "relay", exp: int | None = None) -> str:
        """As `create_agent_token` mints it (agent-api.md 1.2)."""
        claims = {"worker_group": group, "suffix": None, "tags": list(tags),
                  "exp": int(time.time()) + 3600 if exp is None else exp}  # fmt: skip
        return PREFIX + jwt.encode(claims, SECRET, "HS256")

    def answer(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except Refused as refused:
            return Reply(refused.status, str(refused).encode(), "text/plain; charset=utf-8")

    def _answer(self, request: Request) -> Reply:
        fitting = [(method, match, call) for method, pattern, call in ROUTES
                   if (match := re.fullmatch(pattern, request.path))]  # fmt: skip
        if not fitting:
            raise Refused(404, "")
        for method, match, call in fitting:
            if method == request.method:
                return self._called(request, match.groupdict(), call)
        raise Refused(405, "")

    def _called(self, request: Request, place: dict[str, str], call: "Call") -> Reply:
        caller = self._job_caller(request, place) if call in AS_JOB else self._caller(request)
        body = None
        if request.method == "POST":
            if request.headers.get("content-type") != "application/json":
                raise Refused(415, "Expected request with `Content-Type: application/json`")
            try:
                body = parsed(request.body)
            except ValueError as error:
                raise Refused(400, f"the body is not JSON: {error}") from None
        elif request.body:
            raise Refused(400, "a GET has no body")
        try:
            told = call(self, Asked(caller, place, body))
        except WrongShape as error:
            raise Refused(400, str(error)) from None
        return Reply(200, json.dumps(told).encode())

    def _caller(self, request: Request) -> Caller:
        """agent-api.md 1.3. Why a token is refused stands in the server's log only."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        suffix, split, token = bearer.removeprefix(PREFIX).partition("_")
        if scheme != "Bearer" or not bearer.startswith(PREFIX) or not split or not suffix:
            raise Refused(401, "Unauthorized")
        try:
            claims = jwt.decode(token, SECRET, ["HS256"], options={"require": ["exp"]})
        except jwt.InvalidTokenError:
            raise Refused(401, "Unauthorized") from None
        return Caller(f"ag-{claims['worker_group']}-{suffix}", claims["tags"])

    def _job_caller(self, request: Request, place: dict[str, str]) -> Caller:
        """The token that came with a job (agent-api.md 1.6), for as long as the job runs."""
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        job = self.jobs.of(place["workspace"], bearer.removeprefix("jwt_"))
        if scheme != "Bearer" or job is None or bearer != f"jwt_{job.job_id}" or job.state != "running":
            raise Refused(401, "Unauthorized")
        return Caller(job.worker or "", [job.tag])

    def pull_job(self, asked: Asked) -> Any:
        if asked.body is True:
            return None
        if asked.body is not None:
            raise WrongShape(f"pull_job takes null or true, not {asked.body!r:.60}")
        job = self.jobs.pull(asked.caller.worker, asked.caller.tags)
        return None if job is None else job.as_pulled()

    def update_ping(self, asked: Asked) -> None:
        fits(shapes.PING, asked.body, "the ping")
        is_first = asked.body["ping_type"] == "Initial"
        if is_first and None in [asked.body[name] for name in shapes.NEEDED_AT_FIRST]:
            raise Refused(500, "an Initial ping needs worker_instance, ip and version")
        if set(asked.body["tags"] or ()) - set(asked.caller.tags):
            raise WrongShape("the tags of a ping are those of its token")
        if not is_first and asked.caller.worker not in self.workers:
            raise Refused(404, "no such worker")
        self.workers[asked.caller.worker] = asked.body

    def ping_job_status(self, asked: Asked) -> Any:
        fits(shapes.JOB_PING, asked.body, "the job ping")
        return self.jobs.ping(self._id(asked.place))

    def send_result(self, asked: Asked) -> str:
        fits(shapes.COMPLETED, asked.body, "the completion")
        fits(shapes.COMPLETED_JOB, asked.body["job"], "its job")
        if asked.body["canceled_by"] is not None:
            fits(shapes.CANCELED_BY, asked.body["canceled_by"], "canceled_by")
        job = self._job(asked.place)
        if asked.body["job"]["id"] != job.job_id or asked.body["job"]["tag"] != job.tag:
            raise WrongShape(f"that is job {asked.body['job']['id']} and not {job.job_id}")
        if asked.body["token"] != f"jwt_{job.job_id}":
            raise WrongShape("the token is not the job's")
        self.jobs.complete(job, asked.body)
        return f"completed {job.job_id}"

    def push_logs(self, asked: Asked) -> str:
        if not is_text(asked.body):
            raise WrongShape(f"log text is a string, not {asked.body!r:.60}")
        if "\0" in str(asked.body):
            raise Refused(400, "a text column holds no NUL")
        self._job(asked.place).logs += str(asked.body)
        return "ok"

    def script(self, asked: Asked) -> Any:
        code = self.scripts.get(hash_of(asked.place["hash"]) or "")
        if code is None:
            raise Refused(404, "no such script")
        return {"content": code, "lock": None, "meta": None}

    def flow_script(self, asked: Asked) -> Any:
        code = self.flow_scripts.get(hash_of(asked.place["id"]) or "")
        if code is None:
            raise Refused(404, "no such flow script")
        return {"raw_code": code, "raw_lock": None, "raw_flow": None}

    def variable(self, asked: Asked) -> str:
        path = unquote(asked.place["path"])
        if path not in self.variables:
            raise Refused(404, f"Variable {path} not found")
        return self.variables[path]

    def resource(self, asked: Asked) -> Any:
        """With the variables that it names."""
        path = unquote(asked.place["path"])
        if path not in self.resources:
            raise Refused(404, f"Resource {path} not found")
        return {
            name: self.variables[value[5:]] if str(value).startswith("$var:") else value
            for name, value in self.resources[path].items()
        }

    def get_min_version(self, _asked: Asked) -> str:
        return self.min_version

    def get_global_setting(self, asked: Asked) -> None:
        if asked.place["key"] in BLOCKED:
            raise Refused(403, "not for agents")

    def custom_envs(self, asked: Asked) -> list[list[str]]:
        return self.environments.get(asked.place["workspace"], [])

    def _id(self, place: dict[str, str]) -> str:
        if not shapes.UUID.fullmatch(place["job_id"]):
            raise Refused(400, "the job's id is no UUID")
        return place["job_id"]

    def _job(self, place: dict[str, str]) -> FakeJob:
        job = self.jobs.of(place["workspace"], self._id(place))
        if job is None:
            raise Refused(404, "job not found")
        return job


Call = Callable[[AgentApi, Asked], Any]

AS_JOB: Final[tuple[Call, ...]] = (AgentApi.variable, AgentApi.resource)  # called with a job's own token

ROUTES: Final[tuple[tuple[str, str, Call], ...]] = (
    ("POST", f"{GLOBAL}/pull_job", AgentApi.pull_job),
    ("POST", f"{GLOBAL}/update_ping", AgentApi.update_ping),
    ("POST", f"{GLOBAL}/ping_job_status/(?P<job_id>[^/]+)", AgentApi.ping_job_status),
    ("POST", f"{IN}/send_result/(?P<job_id>[^/]+)", AgentApi.send_result),
    ("POST", f"{IN}/push_logs/(?P<job_id>[^/]+)", AgentApi.push_logs),
    ("GET", f"{GLOBAL}/script/(?P<hash>[^/]+)", AgentApi.script),
    ("GET", f"{GLOBAL}/flow_script/(?P<id>[^/]+)", AgentApi.flow_script),
    ("GET", f"{WORKSPACE}/variables/get_value/(?P<path>.+)", AgentApi.variable),
    ("GET", f"{WORKSPACE}/resources/get_value_interpolated/(?P<path>.+)", AgentApi.resource),
    ("GET", f"{GLOBAL}/get_min_version", AgentApi.get_min_version),
    ("GET", f"{GLOBAL}/get_global_setting/(?P<key>[^/]+)", AgentApi.get_global_setting),
    ("GET", f"{IN}/custom_envs", AgentApi.custom_envs),
)
