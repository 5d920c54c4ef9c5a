"""Jobs come down one after another, and only while somebody waits for one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agent.errors import Unwanted
from agent.link.http.api import Api
from agent.link.http.dialect import Dialect
from agent.link.http.pulled import job_of, unrun_end
from agent.wire.agent_api import around_result, script_number
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Job

log = structlog.get_logger()

ENVS_KEPT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Envs:
    at_s: float  # monotonic
    values: Mapping[str, str]


class Pulling:
    def __init__(self, api: Api, dialect: Dialect) -> None:
        self._api = api
        self._dialect = dialect
        self._open: set[Tag] = set()
        self._changed = asyncio.Event()
        self._one = asyncio.Lock()
        self._envs: dict[str, _Envs] = {}  # by workspace

    def open_tag(self, tag: Tag) -> None:
        self._open.add(tag)
        self._changed.set()

    def close_tag(self, tag: Tag) -> None:
        """A pull under way may still bring one: what is on its way may still come."""
        self._open.discard(tag)

    async def next_job(self) -> Job:
        async with self._one:
            while True:
                while not self._open:
                    self._changed.clear()
                    await self._changed.wait()
                self._changed.clear()
                pulled = await self._dialect.pull(frozenset(self._open), self._changed)
                if pulled is None:
                    continue
                job = await self._read(pulled)
                self._dialect.took()
                if job is not None:
                    return job

    async def _read(self, pulled: dict[str, Any]) -> Job | None:
        """The job, unless it is here already or is not to be run."""
        try:
            attempt = await self._dialect.attempt_of(pulled)
            if attempt is None or await self._is_ended(pulled):
                return None
            envs = await self._envs_of(str(pulled["job"]["workspace_id"]))
            return job_of(pulled, Attempt(attempt), await self._code_of(pulled), envs)
        except (LookupError, ValueError, TypeError, AttributeError, Unwanted) as error:
            log.error("job.unreadable", reason=f"{type(error).__name__}: {error}")
            return None

    async def _is_ended(self, pulled: dict[str, Any]) -> bool:
        """Cancelled before it was handed out, or found not fit to run by the cluster itself (7.5)."""
        result = unrun_end(pulled)
        if result is None:
            return False
        job = pulled["job"]
        before, after = around_result(job, pulled["token"], result)
        try:
            await self._api.send_result(
                job["workspace_id"], JobId(job["id"]), before + result.document + after
            )
        except Unwanted as error:
            log.warning("result.refused", job_id=job["id"], reason=str(error))
        return True

    async def _code_of(self, pulled: dict[str, Any]) -> str:
        code, runnable = pulled.get("raw_code"), pulled["job"].get("runnable_id")
        if code is not None or not runnable:
            return code or ""
        return await self._api.script(script_number(runnable))

    async def _envs_of(self, workspace: str) -> Mapping[str, str]:
        """The workspace's variables; none when the cluster does not say (agent-api.md 2.1)."""
        now_s = asyncio.get_running_loop().time()
        kept = self._envs.get(workspace)
        if kept is None or now_s - kept.at_s > ENVS_KEPT_S:
            try:
                kept = _Envs(now_s, await self._api.custom_envs(workspace))
            except Unwanted as error:
                log.warning("custom_envs.refused", workspace=workspace, reason=str(error))
                kept = _Envs(now_s, {})
            self._envs[workspace] = kept
        return kept.values
