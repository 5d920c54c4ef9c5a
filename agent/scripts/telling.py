"""Shows the cluster how a script of the site ended, as a job of its own (agent-api.md 6), where it can."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from agent.clock import Clock
from agent.errors import LinkDown, Unwanted
from agent.executor.task import Stop
from agent.link.link import Enrolment
from agent.scripts.running import Ended, InitScriptFailed, SiteScripts
from agent.scripts.script import Kind
from agent.spool.credentials import Credentials
from agent.tls.outbound import Outbound
from agent.wire import proofs
from agent.wire.agent_api import around_result
from agent.wire.claims import Attempt, JobId
from agent.wire.messages import Result
from agent.wire.tokens import bearer_of, with_ticket

if TYPE_CHECKING:
    from agent.link.http.api import Api

log = structlog.get_logger()

AGAIN_S: Final = 60.0
LAST_WORD_S: Final = 5.0  # of an agent that does not start


class Telling:
    """By the cluster's HTTP API, whichever link the jobs take. A cluster without it is never told."""

    def __init__(
        self,
        scripts: SiteScripts,
        base_url: str,
        credentials: Credentials,
        suffix: str,
        outbound: Outbound,
        clock: Clock,
    ) -> None:
        self._scripts = scripts
        self._base_url = base_url
        self._credentials = credentials
        self._suffix = suffix
        self._outbound = outbound
        self._clock = clock

    async def run(self, enrolment: Enrolment) -> None:
        """For as long as the link lives; never a reason for it to end."""
        while True:
            ended = await self._scripts.next_untold()
            try:
                await self._tell(enrolment, ended)
            except Unwanted as error:
                log.info("script.not_told", kind=ended.script.kind, reason=str(error))
            except LinkDown as error:
                log.info("script.not_told", kind=ended.script.kind, reason=str(error), again_in_s=AGAIN_S)
                await asyncio.sleep(AGAIN_S)
                continue
            self._scripts.told(ended)

    async def begin(self, stop: Stop, cached: Callable[[], Awaitable[Enrolment | None]]) -> None:
        """Run the init script; of one that fails the cluster hears now, or never. Raises `InitScriptFailed`.

        `cached`: what the cluster said of this agent last.
        """
        try:
            await self._scripts.begin(stop)
        except InitScriptFailed:
            if (enrolment := await cached()) is not None:
                await self._last_word(enrolment)
            raise

    async def _last_word(self, enrolment: Enrolment) -> None:
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._tell(enrolment, await self._scripts.next_untold())
        except (LinkDown, Unwanted, TimeoutError) as error:
            log.info("script.not_told", reason=str(error))

    async def _tell(self, enrolment: Enrolment, ended: Ended) -> None:
        """Raises `LinkDown`, `Unwanted`."""
        from agent.link.http.api import Api, client_for  # noqa: PLC0415 most agents have no script to tell of

        bearer = with_ticket(bearer_of(self._credentials.token.reveal(), self._suffix), enrolment.ticket)
        async with client_for(self._base_url, bearer, self._outbound) as client:
            api = Api(client, self._outbound)
            job_id = await api.queue_own_job(
                ended.script.content, periodic=ended.script.kind is Kind.PERIODIC
            )
            reply = await api.same_worker_job(job_id)
            if reply is not None:
                await self._complete(api, reply, ended)
        log.info("script.told", kind=ended.script.kind, job_id=job_id)

    async def _complete(self, api: "Api", reply: dict[str, Any], ended: Ended) -> None:
        job, outcome = reply["job"], ended.outcome
        job_id, workspace = JobId(str(job["id"])), str(job["workspace_id"])
        if ended.text:
            await api.push_log(workspace, job_id, ended.text, {"offset": 0})
        result = Result(
            job_id=job_id,
            attempt=Attempt(1),
            workspace=workspace,
            success=outcome.success,
            started_at=ended.started_at,
            finished_at=self._clock.wall_s(),
            duration_ms=outcome.duration_ms,
            mem_peak_kb=outcome.mem_peak_kb,
        )
        before, after = around_result(job, str(reply["token"]), result)
        body = before + outcome.result + after
        signature = proofs.result_signature(
            self._credentials.device.sign, job_id, hashlib.sha256(body).hexdigest()
        )
        await api.send_result(workspace, job_id, body, signature)
