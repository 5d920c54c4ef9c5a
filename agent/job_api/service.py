"""What a running job asks of its cluster, asked of its agent: it answers while the link is down as well.

It speaks the part of the jobs' API that needs no cluster (agent-api.md 8.5): the script's state, progress,
the variables and resources that came with the job. All else goes on to the cluster, as it came.
"""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from agent.changes import Changes
from agent.clock import Clock
from agent.database import WriteFailed
from agent.errors import LinkDown
from agent.job_api.http import Reply, Request, json_reply, raw_json, served, text_reply
from agent.jobs.serving import Served
from agent.sealed_values import Sealed, unseal
from agent.spool.script_states import ScriptStates
from agent.trust import SigningKey
from agent.wire.hidden import listed, secrets_of
from agent.wire.messages import Job

log = structlog.get_logger()

STATE_MAX_BYTES: Final = 64 * 1024  # it travels within the result
HUNDRED: Final = 100
PROGRESS_EVERY_S: Final = 2.0  # sooner it is told with the next ping
VARIABLE: Final = "$var:"
RESOURCE: Final = "$res:"
READS: Final = {
    "variables/get_value/": VARIABLE,
    "resources/get_value/": RESOURCE,
    "resources/get_value_interpolated/": RESOURCE,
}
SETS: Final = ("resources/update_value/", "resources/update/")

PassOn = Callable[[Request], Awaitable[Reply]]


@dataclass(slots=True)
class _Open:
    job: Job
    served: Served
    values: Mapping[str, Any]  # by `$var:path` and `$res:path`
    state_paths: frozenset[str]
    percent: int | None = None


@dataclass(slots=True)
class JobApi:
    """`pass_on` raises `LinkDown`. `told` is noted when there is progress for a ping to carry."""

    states: ScriptStates
    pass_on: PassOn
    clock: Clock
    told: Changes
    device: SigningKey | None
    link_is_up: Callable[[], bool]
    pings_carry: Callable[[], bool]  # whether the link's pings take progress to the cluster
    _address: str = ""
    _open: dict[str, _Open] = field(default_factory=dict)  # by the job's token
    _told_s: float = float("-inf")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Without a port to listen at, jobs ask the cluster alone."""
        try:
            async with served(self.answer) as self._address:
                log.info("job_api.served", address=self._address)
                yield
        except OSError as error:
            log.warning("job_api.not_served", error=error.strerror or str(error))
            self._address = ""
            yield
        finally:
            self._address = ""

    @contextmanager
    def serve(self, job: Job) -> Iterator[Served]:
        """Implements `Serving`."""
        values = self._values_of(job)
        hidden = [text for value in values.values() for text in _secrets_in(value)]
        here = Served(hidden=tuple(listed(hidden)))
        if not self._address or not job.token:
            yield here
            return
        here.env = {"BASE_INTERNAL_URL": self._address, **_past_proxies()}
        paths = {job.env.get("WM_STATE_PATH", ""), job.env.get("WM_STATE_PATH_NEW", "")} - {""}
        self._open[job.token] = _Open(job, here, values, frozenset(paths))
        try:
            yield here
        finally:
            del self._open[job.token]

    def progress(self) -> Mapping[str, str]:
        """Implements `Serving`."""
        running = self._open.values()
        return {one.job.job_id: str(one.percent) for one in running if one.percent is not None}

    async def answer(self, request: Request) -> Reply:
        asked = self._open.get(request.bearer)
        if asked is None:
            return text_reply(
                "this address answers jobs that run here, each by its own WM_TOKEN; "
                "with another token ask WM_BASE_URL",
                401,
            )
        inside = request.path.removeprefix(f"/api/w/{asked.job.workspace}/")
        try:
            return await self._answer(request, asked, inside)
        except LinkDown as error:
            return text_reply(f"the cluster cannot be reached from this site now: {error}", 503)

    async def _answer(self, request: Request, asked: _Open, inside: str) -> Reply:
        """Raises `LinkDown`."""
        if path := _after("resources/", inside, asked.state_paths):
            return await self._state(request, asked, path)
        if inside == "resources/create" and (path := str(_body_of(request).get("path"))) in asked.state_paths:
            return await self._set_state(request, asked, path, status=201)
        for prefix, kind in READS.items():
            if request.method == "GET" and inside.startswith(prefix):
                return await self._value(request, asked, kind + inside.removeprefix(prefix))
        return await self._about_itself(request, asked, inside)

    async def _about_itself(self, request: Request, asked: _Open, inside: str) -> Reply:
        job_id = asked.job.job_id
        if inside == f"job_metrics/set_progress/{job_id}" and request.method == "POST":
            return await self._set_progress(request, asked)
        if inside == f"job_metrics/get_progress/{job_id}" and asked.percent is not None:
            return json_reply(asked.percent)
        if inside != f"jobs_u/get/{job_id}":
            return await self.pass_on(request)
        try:
            return await self.pass_on(request)
        except LinkDown:  # the SDK asks for it before it sets progress
            return json_reply(_record(asked.job))

    async def _state(self, request: Request, asked: _Open, path: str) -> Reply:
        if request.method == "POST":
            return await self._set_state(request, asked, path)
        if request.method != "GET":
            return await self.pass_on(request)
        found = await self._known_state(asked.job, path)
        if found is None or not asked.job.takes_states:
            try:
                return await self.pass_on(request)
            except LinkDown:
                if found is None:
                    return text_reply(f"Resource {path} not found: no state is kept at this site yet", 404)
        return _as_asked(request.path, asked.job.workspace, path, found)

    async def _known_state(self, job: Job, path: str) -> str | None:
        """The later of what came with the job and what was set at this site."""
        here = await self.states.last(job.workspace, path)
        if here is not None and (not job.state or here[1] >= job.state_since):
            return here[0]
        return job.state or None

    async def _set_state(self, request: Request, asked: _Open, path: str, *, status: int = 200) -> Reply:
        body, job = _body_of(request), asked.job
        if "value" not in body:
            return await self.pass_on(request)
        value = json.dumps(body["value"], separators=(",", ":"))
        if len(value) > STATE_MAX_BYTES:
            return text_reply(
                f"the state has {len(value)} bytes as JSON, and {STATE_MAX_BYTES} may be kept at a site; "
                "keep large data in a file or a database, and its name in the state",
                413,
            )
        try:
            await self.states.keep(job.workspace, path, value, (job.job_id, job.attempt), job.dispatched_at)
        except WriteFailed as error:
            return text_reply(f"the state could not be kept: {error}", 507)
        asked.served.has_set_state = True
        if not job.takes_states:  # this cluster is told at once, or by nobody
            try:
                return await self.pass_on(request)
            except LinkDown as error:
                log.info("state.kept_here", job_id=job.job_id, path=path, reason=str(error))
        return text_reply(f"value of resource {path} updated", status)

    async def _value(self, request: Request, asked: _Open, name: str) -> Reply:
        """The cluster's own while it can be reached, else what came with the job."""
        reason = "the link is down"
        if self.link_is_up() or name not in asked.values:
            try:
                return await self.pass_on(request)
            except LinkDown as error:
                reason = str(error)
        if name in asked.values:
            return raw_json(json.dumps(asked.values[name]))
        kind = "variable" if name.startswith(VARIABLE) else "resource"
        path = name.removeprefix(VARIABLE).removeprefix(RESOURCE)
        why = asked.job.withheld.get(name) or (
            f"it did not come with the job; name it in the script as text, and set `offline` of the {kind}"
        )
        return text_reply(f"{kind} {path} is not at this site: {why}. And the cluster: {reason}", 503)

    async def _set_progress(self, request: Request, asked: _Open) -> Reply:
        percent = _body_of(request).get("percent")
        if not isinstance(percent, int) or isinstance(percent, bool) or not 0 <= percent <= HUNDRED:
            return text_reply("percent must be a whole number from 0 to 100", 400)
        asked.percent = percent
        now_s = self.clock.monotonic_s()
        if self.pings_carry():
            if now_s - self._told_s >= PROGRESS_EVERY_S:
                self._told_s = now_s
                self.told.note()
            return json_reply(None)
        try:
            return await self.pass_on(request)
        except LinkDown:
            return json_reply(None)  # nobody can look at it before the link is back

    def _values_of(self, job: Job) -> dict[str, Any]:
        if not job.sealed or self.device is None:
            return {}
        sealed = Sealed(job.sealed, job.sealed_for)
        found = unseal(job.job_id, sealed, self.device.kid, self.device.raw)
        if found is None:
            log.warning("values.not_opened", job_id=job.job_id, mend="they were sealed for other devices")
        return found or {}


def _after(room: str, inside: str, paths: frozenset[str]) -> str:
    """The state's path that this call is about; empty for any other."""
    calls = ("get/", "get_value/", "get_value_interpolated/", "exists/", "update_value/", "update/")
    found = (path for path in paths for call in calls if inside == f"{room}{call}{path}")
    return next(found, "")


def _as_asked(asked_path: str, workspace: str, path: str, value: str | None) -> Reply:
    if "/resources/exists/" in asked_path:
        return json_reply(value is not None)
    if "/resources/get/" in asked_path:
        known = {"workspace_id": workspace, "path": path, "resource_type": "state"}
        return json_reply(known | {"value": json.loads(value or "null")})
    return raw_json(value or "null")


def _body_of(request: Request) -> dict[str, Any]:
    """Empty when it is no JSON object: the cluster says then what is wrong with it."""
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _record(job: Job) -> dict[str, Any]:
    """As much of the job's record as the site knows (agent-api.md 8.2)."""
    return {
        "type": "QueuedJob",
        "id": job.job_id,
        "workspace_id": job.workspace,
        "parent_job": job.env.get("WM_FLOW_JOB_ID") or None,
        "running": True,
        "script_path": job.path,
        "job_kind": job.kind,
        "language": job.language,
        "tag": job.tag,
        "canceled": False,
    }


def _secrets_in(value: Any) -> Iterator[str]:
    """A variable that is sent along is taken for a secret; of a resource, what its names tell."""
    if isinstance(value, str):
        yield value
    else:
        yield from secrets_of(value)


def _past_proxies() -> dict[str, str]:
    """A job's client must not ask a proxy for this machine."""
    named = {name: os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    if not any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        return {}
    return {name: f"{known},127.0.0.1".lstrip(",") for name, known in named.items()}
