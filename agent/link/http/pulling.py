"""Jobs come down one after another, and only while somebody waits for one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agent.errors import Unwanted
from agent.link.http.api import Api
from agent.link.http.dialect import Dialect
from agent.link.http.pulled import failed_end, job_of
from agent.wire.agent_api import around_result, code_place, unrun_end
from agent.wire.claims import Attempt, Tag
from agent.wire.envelope import pack
from agent.wire.errors import WireError
from agent.wire.messages import Result

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

    async def next_job(self) -> bytes:
        async with self._one:
            while True:
                while not self._open:
                    self._changed.clear()
                    await self._changed.wait()
                self._changed.clear()
                pulled = await self._dialect.pull(frozenset(self._open), self._changed)
                if pulled is None:
                    continue
                body = await self._read(pulled)
                self._dialect.took()
                if body is not None:
                    return body

    async def _read(self, pulled: dict[str, Any]) -> bytes | None:
        """The job, unless it is here already or is not to be run: then its end is recorded at once."""
        try:
            attempt = await self._dialect.attempt_of(pulled)
            if attempt is None:
                return None
            end = unrun_end(pulled)
            if end is None:
                return await self._packed(pulled, Attempt(attempt))
        except (LookupError, ValueError, TypeError, AttributeError, WireError, Unwanted) as error:
            log.error("job.unreadable", reason=f"{type(error).__name__}: {error}")
            end = failed_end(pulled, error)
        if end is not None:
            await self._record(pulled, end)
        return None

    async def _packed(self, pulled: dict[str, Any], attempt: Attempt) -> bytes:
        code, lock = await self._code_of(pulled)
        job = job_of(
            pulled,
            attempt,
            code=code,
            lock=lock,
            args=await self._dialect.arguments_of(pulled),
            envs=await self._envs_of(str(pulled["job"]["workspace_id"])),
        )
        return pack([job])

    async def _record(self, pulled: dict[str, Any], end: Result) -> None:
        before, after = around_result(pulled["job"], str(pulled.get("token")), end)
        try:
            await self._api.send_result(end.workspace, end.job_id, before + end.document + after)
        except Unwanted as error:
            log.warning("result.refused", job_id=end.job_id, reason=str(error))

    async def _code_of(self, pulled: dict[str, Any]) -> tuple[str, str | None]:
        """And its lock."""
        code, lock = pulled.get("raw_code"), pulled.get("raw_lock")
        if code is not None:
            return code, lock
        path, code_name, lock_name = code_place(pulled["job"])
        found = await self._api.deployed(path)
        return found[code_name], lock or found.get(lock_name)

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
