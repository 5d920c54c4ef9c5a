"""Scripts on a normal worker: run by the same executor as at a site, recorded by the cluster itself."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from agent.database import WriteFailed
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.wire.agent_api import reserved_env
from bridge.jobs.lanes import is_reserved
from bridge.jobs.model import Completion, Pulled, error_object
from bridge.jobs.service import Jobs
from bridge.variables.environment import Environments
from bridge.worker.held import Held
from bridge.worker.script_log import ScriptLog

AGAIN_S: Final = 1.0  # a result that the store refuses is offered to it again this often, for ever
TIME_LIMIT: Final = "timeout"  # who stops a job at its time limit: that is a failure, and no cancel

log = structlog.get_logger()


class Executor(Protocol):
    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome: ...


class Scripts:
    """Implements `held.Handler`."""

    def __init__(
        self,
        jobs: Jobs,
        environments: Environments,
        executor: Executor,
        *,
        worker: str,
        worker_group: str,
        hostname: str,
        base_url: str,
        serves: Callable[[], Collection[str]],
    ) -> None:
        """`base_url`: where jobs find the cluster's API. `serves`: the tags that the worker was given."""
        self._jobs = jobs
        self._environments = environments
        self._executor = executor
        self._worker = worker
        self._worker_group = worker_group
        self._hostname = hostname
        self._base_url = base_url
        self._serves = serves

    async def run(self, held: Held) -> None:
        job = held.job
        if (refused := self._why_not(job)) is not None:
            await self._record(held, Completion(success=False, result=refused, may_retry=False))
            return
        if job.canceled_by is not None:
            held.stop.request(job.canceled_by, job.canceled_reason or "")
        task = self._task(job, await self._environments.of(job.workspace))
        outcome = await self._executed(held, task)
        if held.is_lost:  # fencing: another has it, or it is over
            log.info("job.lost", job_id=job.job_id, attempt=job.attempt)
            return
        await self._record(held, _completion(outcome))

    async def _executed(self, held: Held, task: Task) -> Outcome:
        """On return all its text is with its record."""
        job = held.job
        writer = f"{self._worker} {job.attempt}"

        async def append(text: str, offset: int) -> None:
            await self._jobs.append_log(job.workspace, job.job_id, text, writer=writer, offset=offset)

        joblog = ScriptLog(append)
        joblog.write(
            f"job={job.job_id} tag={job.tag} worker={self._worker} hostname={self._hostname} isolation=none\n"
        )
        async with asyncio.TaskGroup() as group:
            flushing = group.create_task(joblog.run(), name=f"log of {job.job_id}")
            held.has_begun = True
            outcome = await self._executor.run(task, joblog.write, held.stop)
            flushing.cancel()
        await joblog.close()
        return outcome

    async def _record(self, held: Held, completion: Completion) -> None:
        """I6: a result is never dropped. While the store refuses it, it waits in memory."""
        job = held.job
        while True:
            try:
                await self._jobs.complete(job.workspace, job.job_id, completion)
            except WriteFailed as error:
                log.error("result.waits_for_the_store", job_id=job.job_id, reason=str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def _why_not(self, job: Pulled) -> bytes | None:
        """The error of a job that is not to be run here at all: what runs here runs beside the cluster."""
        if not is_reserved(job.tag) and job.tag in self._serves():
            return None
        message = (
            f"a normal worker got this script with the tag {job.tag}, and runs only those of tags that its "
            "operator gave it, but for flow and dependency. Give the script the tag of an agent, or "
            "give a worker its tag (python -m bridge worker --tags)."
        )
        return json.dumps(error_object("NotForThisTag", message)).encode()

    def _task(self, job: Pulled, own: Mapping[str, str]) -> Task:
        """`own`: the workspace's variables."""
        env = {
            **own,
            **reserved_env(json.loads(job.as_json())),
            "WM_TOKEN": job.token,
            "WM_JOB_ID": job.job_id,
            "WM_WORKSPACE": job.workspace,
            "WM_WORKER_GROUP": self._worker_group,
            "BASE_INTERNAL_URL": self._base_url,
            "WM_BASE_URL": self._base_url,
            "ORVANTA_IDEMPOTENCY_KEY": job.job_id,
            "ORVANTA_ATTEMPT": str(job.attempt),
        }
        return Task(
            job_id=job.job_id,
            language=job.language,
            code=job.code,
            args=job.args,
            env=env,
            timeout_s=job.timeout_s,
            path=job.path,
            hidden=(job.token, *job.hidden),
        )


def _completion(outcome: Outcome) -> Completion:
    by = None if outcome.canceled_by == TIME_LIMIT else outcome.canceled_by
    return Completion(
        success=outcome.success,
        result=outcome.result,
        duration_ms=outcome.duration_ms,
        mem_peak_kb=outcome.mem_peak_kb,
        canceled_by=by,
        canceled_reason=None if by is None else outcome.canceled_reason,
    )
