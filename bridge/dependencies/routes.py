"""Locks over HTTP: how a deployment's stands, one on demand, and the scripts' text as an import reads it."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.dependencies.flows import FlowLock, lock_at
from bridge.dependencies.settling import Settling, order
from bridge.errors import BadRequest
from bridge.jobs.model import Order, ToResolve
from bridge.jobs.scripts import Author, Scripts
from bridge.jobs.service import Jobs
from bridge.jobs.tag_rules import TagRules
from bridge.jobs.waiting import NotInTime, TooMany, Waiting
from bridge.store.store import Store
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, raw_json, text_reply, typed_body
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}"


class RawScript(Struct):
    raw_code: str
    language: Annotated[str, Meta(min_length=1)]
    path: str | None = None


class RawScripts(Struct):
    """`entrypoint`: the path that relative imports start from, when the script names none itself."""

    raw_scripts: list[RawScript]
    entrypoint: str | None = None


class DeploymentStatus(Struct):
    lock: str | None  # null: not known, or not yet
    lock_error_logs: str | None
    job_id: str | None


class DependencyRoutes:
    def __init__(
        self, store: Store, scripts: Scripts, jobs: Jobs, waiting: Waiting, settling: Settling, gate: Gate
    ) -> None:
        self._store = store
        self._scripts = scripts
        self._jobs = jobs
        self._waiting = waiting
        self._settling = settling
        self._gate = gate

    def all(self) -> list[Described]:
        status, text = f"{IN}/scripts/deployment_status", f"{IN}/scripts/raw"
        return [
            Described("GET", f"{status}/h/{{hash}}", self.status_of_hash, gives=DeploymentStatus),
            Described("GET", f"{status}/p/{{path:path}}", self.status_at_path, gives=DeploymentStatus),
            Described(
                "GET", f"{IN}/flows/deployment_status/p/{{path:path}}", self.status_of_flow, gives=FlowLock
            ),
            Described("GET", f"{text}/h/{{hash}}", self.text_of_hash, gives=str, media=TEXT),
            Described("GET", f"{text}/p/{{path:path}}", self.text_at_path, gives=str, media=TEXT),
            Described(
                "POST", f"{IN}/jobs/run/dependencies", self.resolve, takes=RawScripts, gives=dict[str, Any]
            ),
            Described(
                "POST", f"{IN}/jobs/run/dependencies_async", self.resolve_later,
                takes=RawScripts, gives=str, status=201, media=TEXT,
            ),
        ]  # fmt: skip

    async def status_of_hash(self, request: Request) -> Response:
        """How the lock of one version of a script stands."""
        await self._gate.member(request)
        workspace, version = request.path_params["workspace"], request.path_params["hash"]
        return json_reply(DeploymentStatus(*await self._scripts.lock_of_hash(workspace, version)))

    async def status_at_path(self, request: Request) -> Response:
        """How the lock of a path's newest version stands."""
        await self._gate.member(request)
        workspace, path = request.path_params["workspace"], request.path_params["path"]
        return json_reply(DeploymentStatus(*await self._scripts.lock_at_path(workspace, path)))

    async def status_of_flow(self, request: Request) -> Response:
        """How the locks of a flow's inline steps stand."""
        await self._gate.member(request)
        workspace, path = request.path_params["workspace"], request.path_params["path"]
        return json_reply(await self._store.read(lambda connection: lock_at(connection, workspace, path)))

    async def text_of_hash(self, request: Request) -> Response:
        """The code of one version of a script; the hash may have an ending such as `.py`."""
        await self._gate.member(request)
        workspace, version = request.path_params["workspace"], request.path_params["hash"]
        return text_reply((await self._scripts.of_hash(workspace, version.partition(".")[0]))["content"])

    async def text_at_path(self, request: Request) -> Response:
        """The code of the script at a path, which may have an ending such as `.py`: what an import reads."""
        await self._gate.member(request)
        workspace, path = request.path_params["workspace"], request.path_params["path"]
        return text_reply(await self._scripts.content_at(workspace, path))

    async def resolve(self, request: Request) -> Response:
        """Resolve what a piece of code needs, and answer with its lock."""
        try:
            answer = await self._waiting.run(await self._order(request), None)
        except TooMany as error:
            return text_reply(str(error), 503)
        except NotInTime as error:
            return text_reply(str(error), 504)
        return raw_json(answer.document, answer.status)

    async def resolve_later(self, request: Request) -> Response:
        """Resolve what a piece of code needs; the id of the job that does."""
        return text_reply(await self._jobs.push(await self._order(request)), 201)

    async def _order(self, request: Request) -> Order:
        identity = await self._gate.member(request)
        asked = await typed_body(request, RawScripts)
        if len(asked.raw_scripts) != 1:
            raise BadRequest(
                f"raw_scripts must have one script, not {len(asked.raw_scripts)}: send each by itself"
            )
        (script,) = asked.raw_scripts
        workspace = request.path_params["workspace"]
        source = ToResolve(
            kind="dependencies",
            tag=self._settling.tag(workspace),
            language=script.language,
            path=script.path or asked.entrypoint,
            code=script.raw_code,
        )
        return order(workspace, source, Author(identity.username, identity.email), {})


def routes(
    store: Store, scripts: Scripts, jobs: Jobs, waiting: Waiting, tags: TagRules, gate: Gate
) -> list[Described]:
    return DependencyRoutes(store, scripts, jobs, waiting, Settling(tags), gate).all()
