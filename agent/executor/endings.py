"""The ways in which a job can end, and the outcome of each (agent-api.md 7.5)."""

import signal
from dataclasses import dataclass

from agent.executor.errors import JobFailed, error_object
from agent.executor.languages.language import SIGNAL_OFFSET, Verdict
from agent.executor.task import Outcome, Stop, Task


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why a job was ended from outside."""

    by: str
    reason: str
    told: str  # how the error object puts it


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


def step_id(task: Task) -> str:
    """The flow step that the job is; empty outside a flow."""
    return task.env.get("WM_FLOW_STEP_ID", "")


def interrupted(task: Task, interruption: Interruption) -> Verdict:
    message = f"execution error:\njob process terminated due to {interruption.told}"
    return Verdict(False, error_object(message, step_id=step_id(task)))


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
