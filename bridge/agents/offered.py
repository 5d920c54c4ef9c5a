"""What a refused token may still do: have a late result of its worker's own job kept. Nothing is believed."""

import asyncio
import hashlib
from typing import Annotated, Final

import structlog
from msgspec import Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from agent.clock import Clock
from agent.wire import proofs, quarantine
from agent.wire.claims import Attempt, Claims, JobId, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Result
from agent.wire.tokens import split_ticket
from bridge.agents.model import JobCompletedAsSent
from bridge.devices.service import Devices
from bridge.errors import BadRequest, NotAuthorized, PermissionDenied
from bridge.jobs.formers import Formers
from bridge.relay.ledger import Ledger
from bridge.relay.shelf import Kept, Link
from bridge.tokens.agents import AgentTokens
from bridge.tokens.gate import bearer_of
from bridge.web.bodies import body_of, decoded, text_reply, typed_query

PER_S: Final = 5.0  # questions and results of one worker
BURST: Final = 50
WORKERS_MAX: Final = 10_000  # that are counted; the one that came longest ago goes (I6)
BODIES_MAX: Final = 2  # in memory at once, of all workers: one may have 64 MiB
TOLD: Final = "Unauthorized: the token is refused; the result waits in quarantine until an operator decides"
FIGURE_MAX: Final = 2**53  # a device may make up any number; what is above is no time and no memory
TEXT_MAX: Final = 1000

log = structlog.get_logger()


class OfferedAt(Struct):
    """Query of send_result with a refused token, ours: the attempt; without it the worker's last one."""

    attempt: Annotated[int, Meta(ge=1, lt=2**31)] | None = None


class Offered:
    """The job is never touched, and the answer is 401 whatever becomes of the result."""

    def __init__(
        self, tokens: AgentTokens, devices: Devices, formers: Formers, ledger: Ledger, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._devices = devices
        self._formers = formers
        self._ledger = ledger
        self._clock = clock
        self._pace = Pace(PER_S, BURST, clock)
        self._bodies = asyncio.Semaphore(BODIES_MAX)

    async def refuse(self, request: Request, refusal: NotAuthorized) -> Response:
        """401; the header says how the result stands, if the token is genuine and its device shows it."""
        try:
            standing = await self._standing(request)
        except (NotAuthorized, BadRequest, PermissionDenied):
            standing = ""
        answer = text_reply(TOLD if standing == quarantine.KEPT else str(refusal), 401)
        if standing:
            answer.headers[quarantine.HEADER] = standing
        return answer

    async def keep_apart(
        self, workspace: str, job_id: str, worker: WorkerName, sent: JobCompletedAsSent, document: bytes
    ) -> None:
        """Of a token that holds, and of a job that was taken when another one was revoked.

        There is always room: who brings it may let go of it, and there are no more than jobs were taken.
        """
        had = await self._formers.last_attempt(workspace, job_id, worker)
        kept = Kept(JobId(job_id), Attempt(had or 1), worker)
        await self._ledger.shelf.keep(kept, pack([self._result(workspace, kept, sent)]), document, Link.HTTP)
        _say(kept, quarantine.KEPT)

    async def _standing(self, request: Request) -> str:
        """All that costs little comes before the body is read. Raises what `refuse` expects."""
        bearer = bearer_of(request)
        claims = self._tokens.genuine(split_ticket(bearer)[0])
        if claims is None or not await self._devices.is_from_its_device(bearer, claims):
            return ""
        if not self._pace.may(claims.worker):
            return ""
        kept = await self._place(request, claims.worker)
        if kept is None:
            return quarantine.UNWANTED
        standing = await self._ledger.shelf.standing(kept)
        if standing != quarantine.WANTED or request.headers.get(quarantine.HEADER) == quarantine.ASK:
            return standing
        if self._bodies.locked():
            return ""
        async with self._bodies:
            return await self._keep(request, claims, kept)

    async def _place(self, request: Request, worker: WorkerName) -> Kept | None:
        """None: the worker never had this job, or its result is recorded."""
        wanted = typed_query(request, OfferedAt).attempt
        job_id, workspace = request.path_params["job_id"], request.path_params["workspace"]
        had = await self._formers.last_attempt(workspace, job_id, worker, wanted)
        if had is None:
            had = await self._ledger.had(job_id, worker, None if wanted is None else Attempt(wanted))
        return None if had is None else Kept(JobId(job_id), Attempt(had), worker)

    async def _keep(self, request: Request, claims: Claims, kept: Kept) -> str:
        """As its device signed it, where it has one."""
        body = await body_of(request)
        signature = request.headers.get(proofs.SIGNATURE, "")
        digest = hashlib.sha256(body).hexdigest()
        await self._devices.require_signed_result(claims.worker, signature, kept.job_id, digest)
        sent = decoded(body, JobCompletedAsSent)
        if sent.result_sha256 is not None:
            raise BadRequest("a refused token brings no parts; send the result whole")
        result = self._result(request.path_params["workspace"], kept, sent)
        standing = await self._ledger.shelf.offer(kept, pack([result]), bytes(sent.result))
        _say(kept, standing)
        return standing

    def _result(self, workspace: str, kept: Kept, sent: JobCompletedAsSent) -> Result:
        now_s, by = self._clock.wall_s(), sent.canceled_by
        took_ms = 0 if sent.duration is None or isinstance(sent.duration, UnsetType) else sent.duration
        took_ms = min(max(took_ms, 0), FIGURE_MAX)
        return Result(
            job_id=kept.job_id,
            attempt=kept.attempt,
            workspace=workspace,
            success=sent.success,
            started_at=None if sent.duration is None else now_s - took_ms / 1000,
            finished_at=now_s,
            duration_ms=took_ms,
            mem_peak_kb=None if sent.mem_peak is None else min(max(sent.mem_peak, 0), FIGURE_MAX),
            canceled_by=None if by is None else (by.username or "unknown")[:TEXT_MAX],
            canceled_reason=None if by is None else (by.reason or "")[:TEXT_MAX],
        )


def _say(kept: Kept, standing: str) -> None:
    log.warning(
        "result.quarantined",
        job_id=kept.job_id,
        attempt=kept.attempt,
        worker=kept.worker,
        link="http",
        standing=standing,
    )


class Pace:
    """A token bucket for each worker."""

    def __init__(self, per_s: float, burst: int, clock: Clock) -> None:
        self._per_s: Final = per_s
        self._burst: Final = burst
        self._clock = clock
        self._left: dict[WorkerName, tuple[float, float]] = {}  # at that monotonic second

    def may(self, worker: WorkerName) -> bool:
        now_s = self._clock.monotonic_s()
        left, at_s = self._left.pop(worker, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_s)
        if len(self._left) >= WORKERS_MAX:
            del self._left[next(iter(self._left))]
        self._left[worker] = (max(left - 1, 0.0) if left >= 1 else left, now_s)
        return left >= 1
