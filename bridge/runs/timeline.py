"""Where a job's custody has been: one row of steps for each attempt. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bridge.runs.model import Attempt, Facts, Job, Where


class Reached(StrEnum):
    DONE = "done"
    NOW = "now"
    AHEAD = "ahead"
    NEVER = "never"  # the attempt ended before


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    reached: Reached
    at: float | None = None  # wall seconds of the bridge: when it came there
    holder: str = ""
    lasted_s: float | None = None  # until the next step, or now


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`remarks`: what is odd about it, such as late results."""

    number: int
    steps: Sequence[Step]
    outcome: str | None = None
    remarks: Sequence[str] = ()


OUTCOMES: Final = {
    "lost": "given up: its custodian was lost, or refused it",
    "superseded": "another attempt was first",
    "elsewhere": "it was ended at the cluster",
    "expired": "nobody took it before its not_after",
}


def timeline(facts: Facts) -> list[Row]:
    """The oldest attempt first; without any, the job's own way: from the cluster to a worker over HTTP."""
    if not facts.attempts:
        return [_direct(facts)]
    return [_row(facts, attempt) for attempt in facts.attempts]


def _row(facts: Facts, attempt: Attempt) -> Row:
    job = facts.job
    site = attempt.custodian or ""
    is_recorded = attempt.result_at is not None
    moments = [
        ("cluster", job.created_at, "the cluster"),
        ("bridge", attempt.taken_at, "the bridge"),
        ("broker", attempt.published_at, "RabbitMQ"),
        ("site", attempt.accepted_at, site),
        ("running", attempt.started_at, site),
        ("result spooled", attempt.finished_at, site),
        ("delivered", attempt.result_at if is_recorded else None, "the cluster"),
    ]
    end_s = facts.now_s if attempt.is_open else attempt.closed_at
    return Row(
        number=attempt.number,
        steps=_steps(moments, end_s, is_over=not attempt.is_open),
        outcome=None if attempt.is_open else OUTCOMES.get(attempt.outcome or "", attempt.outcome),
        remarks=_remarks(attempt),
    )


def _direct(facts: Facts) -> Row:
    job = facts.job
    is_over = job.where is Where.OVER
    moments = [
        ("cluster", job.created_at, "the cluster"),
        ("worker", job.handed_out_at, job.worker or ""),
        ("delivered", job.completed_at, "the cluster"),
    ]
    return Row(
        number=job.restarts + 1,
        steps=_steps(moments, job.completed_at if is_over else facts.now_s, is_over=is_over),
        outcome=job.status,
        remarks=_handed_out_again(job),
    )


def _steps(
    moments: Sequence[tuple[str, float | None, str]], end_s: float | None, *, is_over: bool
) -> list[Step]:
    came = [place for place, (_, at, _) in enumerate(moments) if at is not None]
    last = came[-1]
    steps = []
    for place, (name, at, holder) in enumerate(moments):
        if at is None:
            reached = Reached.DONE if place < last else Reached.NEVER if is_over else Reached.AHEAD
            steps.append(Step(name=name, reached=reached))
            continue
        until = next((moments[later][1] for later in came if later > place), end_s)
        is_now = place == last and not is_over
        lasted_s = None if until is None or place == len(moments) - 1 else max(0.0, until - at)
        reached = Reached.NOW if is_now else Reached.DONE
        steps.append(Step(name=name, reached=reached, at=at, holder=holder, lasted_s=lasted_s))
    return steps


def _remarks(attempt: Attempt) -> list[str]:
    said = []
    if attempt.finished_while_down:
        said.append("finished while its link was down")
    if attempt.late:
        said.append(
            f"{attempt.late} result{'' if attempt.late == 1 else 's'} of it came late, and changed nothing"
        )
    if attempt.cancel_sent and attempt.custodian:
        said.append(f"{attempt.custodian} was told of the cancel")
    if attempt.outcome in ("lost", "superseded") and attempt.custodian and not attempt.late:
        told = "has been told to drop it" if attempt.revoked else "is to be told to drop it"
        said.append(f"{attempt.custodian} {told}")
    return said


def _handed_out_again(job: Job) -> list[str]:
    if not job.restarts:
        return []
    return [f"handed out {job.restarts + 1} times: whoever had it before was lost"]
