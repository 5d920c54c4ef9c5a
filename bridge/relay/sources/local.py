"""The embedded cluster, in this process: where a job (the cluster's) meets custody (the relay's)."""

import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

import structlog

from agent.wire.agent_api import canceler
from agent.wire.claims import JobId, Tag
from agent.wire.messages import Delivery, Result
from bridge.errors import BadRequest, NotFound
from bridge.jobs.details import Details
from bridge.jobs.lanes import of_agents
from bridge.jobs.model import Completed, Completion
from bridge.jobs.model import Pulled as HandedOut
from bridge.jobs.service import Jobs
from bridge.offline.service import Luggage
from bridge.relay.ledger import Custody
from bridge.relay.sources.source import PingReply, Pulled, pulled_from
from bridge.variables.environment import Environments

log = structlog.get_logger()

LuggageOf = Callable[[HandedOut], Awaitable[Luggage]]

WORKER = "ag-bridge-local"  # stable, so that a restarted bridge is still the worker of what is out


class LocalSource:
    """Each tag is a lane of its own."""

    ping_every_s = 2.0
    pings_at_once = 500
    keeps_languages_back = True
    idle_s = 30.0  # every push, and whatever else makes a job ready, is told

    def __init__(
        self,
        jobs: Jobs,
        environments: Environments | None = None,
        details: Details | None = None,
        luggage: LuggageOf | None = None,
    ) -> None:
        self._jobs = jobs
        self._environments = environments
        self._details = details
        self._luggage = luggage

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        """Only where a job is ready: of thousands of tags nearly all are idle."""
        return [frozenset((Tag(tag),)) for tag in of_agents(sorted(served - self._jobs.empty_tags))]

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        job = await self._jobs.pull(WORKER, sorted(lane), languages=languages)
        if job is None:
            return None
        pulled = replace(pulled_from(json.loads(job.as_json()), None), takes_states=True, bundle=job.bundle)
        if self._luggage is not None:
            pulled = replace(pulled, **asdict(await self._luggage(job)))
        if self._environments is None:
            return pulled
        return replace(pulled, env={**await self._environments.of(pulled.workspace), **pulled.env})

    async def put_back(self, out: frozenset[JobId]) -> None:
        if count := await self._jobs.put_back(WORKER, out):
            log.info("jobs.put_back", jobs=count)

    async def wait(self, timeout_s: float) -> None:
        await self._jobs.wait_for_push(timeout_s)

    async def ping_all(self, custodies: Sequence[Custody]) -> Sequence[PingReply]:
        replies = await self._jobs.ping_all([custody.job_id for custody in custodies], WORKER)
        return [PingReply(one.canceled_by, one.canceled_reason, one.already_completed) for one in replies]

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        by = canceler(result)
        completion = Completion(
            success=result.success,
            result=document or b"null",
            duration_ms=result.duration_ms,
            mem_peak_kb=result.mem_peak_kb,
            canceled_by=by,
            canceled_reason=None if by is None else result.canceled_reason,
            states=result.states,
            may_retry=_may_retry(custody, result),
        )
        await self._jobs.complete(custody.workspace, custody.job_id, completion)

    async def record(self, result: Result, document: bytes) -> bool:
        """Of a job that no custody of ours was for: it went out over HTTP. False: it has ended before."""
        by = canceler(result)
        completion = Completion(
            success=result.success,
            result=document,
            duration_ms=result.duration_ms,
            mem_peak_kb=result.mem_peak_kb,
            canceled_by=by,
            canceled_reason=None if by is None else result.canceled_reason,
            states=result.states,
            may_retry=result.started_at is not None,
        )
        return await self._jobs.complete(result.workspace, result.job_id, completion) is Completed.RECORDED

    async def set_progress(self, custody: Custody, percent: int) -> None:
        if self._details is not None:
            with suppress(BadRequest, NotFound):  # it has ended, which tells more
                await self._details.set_progress(custody.workspace, custody.job_id, percent)

    async def push_log(self, custody: Custody, writer: str, start: int, text: str, *, missing: int) -> None:
        del missing  # the cluster counts each writer's stream itself, in the same commit as the text
        try:
            await self._jobs.append_log(custody.workspace, custody.job_id, text, writer=writer, offset=start)
        except NotFound as error:  # the same again would not be found again, and hold up all other text
            log.warning("log.declined", job_id=custody.job_id, chars=len(text), reason=str(error))


def _may_retry(custody: Custody, result: Result) -> bool:
    """Whether a new job may follow a failure: not where nobody ran it, or its tag says at_most_once (I2)."""
    return (
        result.started_at is not None
        and json.loads(custody.job_json).get("delivery") != Delivery.AT_MOST_ONCE
    )
