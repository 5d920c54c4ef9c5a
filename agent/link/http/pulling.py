"""Jobs come down only while somebody waits for one, and beside each other while there are many."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agent.changes import Changes
from agent.errors import Unwanted
from agent.link.http.api import Api
from agent.link.http.dialect import Dialect, Pulled
from agent.link.http.pulled import failed_end, job_of
from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.agent_api import around_result, code_place, unrun_end
from agent.wire.claims import Attempt, Tag
from agent.wire.envelope import pack
from agent.wire.errors import WireError
from agent.wire.messages import Result

log = structlog.get_logger()

AT_ONCE: Final = 8  # pulls; a round trip of 200 ms brings 40 jobs a second
ENVS_KEPT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Envs:
    at_s: float  # monotonic
    values: Mapping[str, str]


class Pulling:
    """One life of the link. One pull waits for a job; as long as they bring one, more leave at once."""

    def __init__(self, api: Api, dialect: Dialect, device: SigningKey | None = None) -> None:
        self._api = api
        self._device = device
        self._dialect = dialect
        self._open: dict[Tag, int] = {}  # how many of its jobs may have come and not be held yet
        self._changed = asyncio.Event()
        self._moved = Changes()
        self._width = 1  # pulls that may be under way; the only one waits
        self._under_way = 0
        self._in_hand = 0  # jobs that came and are not held yet
        self._envs: dict[str, _Envs] = {}  # by workspace

    def open_tag(self, tag: Tag, prefetch: int) -> None:
        self._open[tag] = prefetch
        self._changed.set()
        self._moved.note()

    def close_tag(self, tag: Tag) -> None:
        """A pull under way may still bring one: what is on its way may still come."""
        self._open.pop(tag, None)

    def held(self, pulled: Pulled) -> None:
        """What `next_job` brought is on disk."""
        self._in_hand -= 1
        self._dialect.took(pulled)
        self._moved.note()

    async def next_job(self) -> tuple[bytes, Pulled]:
        """A job's bytes, and what `held` wants to be told. Callers that wait pull beside each other."""
        while True:
            pulled = await self._next()
            if pulled is None:
                continue
            body = await self._read(pulled.reply)
            if body is not None:
                return body, pulled
            self.held(pulled)

    async def _next(self) -> Pulled | None:
        while not self._may_pull():
            await self._moved.newer_than(self._moved.version)
        waits = self._width == 1
        if waits:
            self._changed.clear()
        self._under_way += 1
        try:
            pulled = await self._dialect.pull(frozenset(self._open), self._changed, waits=waits)
        finally:
            self._under_way -= 1
        if pulled is None:
            self._width = 1
        else:
            self._in_hand += 1
            self._width = min(AT_ONCE, 2 * self._width)
        self._moved.note()
        return pulled

    def _may_pull(self) -> bool:
        """What comes beyond custody's mark is bounded as with a broker, by the prefetch (I6)."""
        room = min(self._open.values(), default=0) - self._in_hand
        return self._under_way < min(self._width, room)

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
        body, signature = before + end.document + after, ""
        if self._device is not None:
            digest = hashlib.sha256(body).hexdigest()
            signature = proofs.result_signature(self._device.sign, end.job_id, digest)
        try:
            await self._api.send_result(end.workspace, end.job_id, body, signature)
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
