"""The ways in which a job can end, and the outcome of each (agent-api.md 7.5)."""

import signal
from dataclasses import dataclass
from typing import Final

from agent.executor.errors import JobFailed, error_object
from agent.executor.languages.language import SIGNAL_OFFSET, Verdict
from agent.executor.task import Outcome, Stop, Task

ERROR: Final = "ExecutionErr"


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why a job was ended from outside."""

    by: str | None  # None: nobody asked for it
    reason: str | None
    told: str  # how the error object puts it
    name: str = ERROR  # of the error object
    at_once: bool = False  # it is not asked first


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is known once no process of the job is left."""

    code: int  # of the group's leader; -N for signal N
    interruption: Interruption | None  # None: it ended by itself
    duration_ms: int
    peak_kb: int | None

    @property
    def exit_code(self) -> int:
        return self.code if self.code >= 0 else SIGNAL_OFFSET - self.code


def by_stop(by: str, reason: str) -> Interruption:
    return Interruption(by, reason, f"cancelled by {by} (reason: {reason})")


def by_time_limit(*, job_specific: bool) -> Interruption:
    whose = "job-specific" if job_specific else "instance-level"
    reason = f"timeout after exceeding {whose} duration limit"
    return Interruption("timeout", reason, reason)


def by_limit(name: str, told: str) -> Interruption:
    """It used more than a job may. No cancellation: it fails."""
    return Interruption(None, None, f"exceeding {told}", name, at_once=True)


def mend(limit: str) -> str:
    """How a limit is raised."""
    return f"or raise {limit} under [limits] in the policy of this site"


def memory_of(most_mb: int) -> str:
    return f"its limit of {most_mb} MB of memory; use less, {mend('memory_mb')}"


def processes_of(most: int | None) -> str:
    return f"its limit of {most} processes and threads; start fewer at once, {mend('processes')}"


def folder_of(most_mb: int | None) -> str:
    what = f"the limit of {most_mb} MB for all that lies in its directory"
    return f"{what}; delete what is no longer needed, {mend('folder_mb')}"


def output_of(most_bytes: int, kept_bytes: int) -> str:
    what = f"the limit of {most_bytes} bytes for what it prints, of which the log keeps {kept_bytes}"
    return f"{what}; print less, or write it to a file"


def step_id(task: Task) -> str:
    """The flow step that the job is; empty outside a flow."""
    return task.env.get("WM_FLOW_STEP_ID", "")


def interrupted(task: Task, interruption: Interruption) -> Verdict:
    message = f"execution error:\njob process terminated due to {interruption.told}"
    return Verdict(False, error_object(message, interruption.name, step_id=step_id(task)))


def signalled(task: Task, ended: Ended) -> Verdict:
    name = signal.Signals(-ended.code).name if -ended.code in list(signal.Signals) else str(-ended.code)
    message = f"process terminated by signal: {name}"
    return Verdict(False, error_object(message, step_id=step_id(task), exit_code=ended.exit_code))


def failed(task: Task, failure: JobFailed) -> Verdict:
    return Verdict(False, error_object(str(failure), failure.name, step_id=step_id(task)))


def outcome(ended: Ended, verdict: Verdict) -> Outcome:
    interruption = ended.interruption
    return Outcome(
        success=verdict.success,
        result=verdict.document,
        duration_ms=ended.duration_ms,
        mem_peak_kb=ended.peak_kb,
        exit_code=ended.exit_code,
        canceled_by=interruption.by if interruption else None,
        canceled_reason=interruption.reason if interruption else None,
    )


def not_started(task: Task, failure: JobFailed, duration_ms: int) -> Outcome:
    return Outcome(success=False, result=failed(task, failure).document, duration_ms=duration_ms)


def canceled_before(stop: Stop) -> Outcome:
    """For a job that somebody cancelled before it could be started."""
    document = error_object(
        f"Job canceled: {stop.reason} by {stop.by}", "Canceled", reason=stop.reason, canceler=stop.by
    )
    return Outcome(
        success=False, result=document, duration_ms=0, canceled_by=stop.by, canceled_reason=stop.reason
    )
