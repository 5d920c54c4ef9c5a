"""Compares, job by job, what was submitted, what ran (journals) and what the cluster recorded."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.desk import Sight
from tests.chaos.journal import Start
from tests.chaos.work import Order

LINE: Final = re.compile(r"L(\d+):(\d+);")
# How the product may end a job that was not run to its end, each for a reason that this run gives it.
EXPLAINED: Final = {"Canceled", "Interrupted", "Poison", "CustodianLost"}
GAP: Final = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of one job from outside."""

    order: Order
    starts: Sequence[Start]
    first: Sight | None
    record: Mapping[str, Any] | None  # as the cluster has it at the end; None: it is not completed
    custody: Sequence[Mapping[str, Any]]  # the bridge's rows, one for each attempt
    changed: bool = False
    had_full_disk: bool = False  # the site that recorded it had one in this run


def check(job: Evidence) -> list[str]:
    """What does not hold for this job, as sentences that begin with the invariant."""
    found = _started_at_most_once(job)
    if job.record is None:
        where = [(row["attempt"], row["state"], row["custodian"]) for row in job.custody]
        found.append(f"I1: {job.order.job_id} has no result; custody {where}, starts {_told(job.starts)}")
        return found
    return found + _recorded_once(job) + _made_by_a_run(job) + _log_in_order(job) + _never_after_cancel(job)


def _recorded_once(job: Evidence) -> list[str]:
    later = None if job.record is None else json.dumps(job.record["result"])
    first = job.first.result if job.first else None
    differs = first is not None and later is not None and json.loads(first) != json.loads(later)
    if job.changed or differs:
        return [f"I1: different results of {job.order.job_id} were seen one after the other"]
    return []


def _made_by_a_run(job: Evidence) -> list[str]:
    """A success has to be the words of a run in the journal, a failure has to have a reason."""
    assert job.record is not None
    name, result = job.order.job_id, job.record["result"]
    if job.record["success"]:
        said = str(result)
        runs = {f"{name} {start.attempt} {start.pid}" for start in job.starts}
        if " ".join(said.split()[:3]) not in runs:
            return [f"I1: the result of {name} was made by no run of it: {said[:100]!r}"]
        if job.order.shape.tail and len(said) < job.order.shape.tail:
            return [f"I1: the result of {name} is cut: {len(said)} characters"]
        return []
    error = result.get("error", {}) if isinstance(result, dict) else {}
    if error.get("name") in EXPLAINED or job.record["canceled"] or job.had_full_disk:
        return []
    return [f"I1: {name} failed, and no fault explains it: {json.dumps(result)[:300]}"]


def _started_at_most_once(job: Evidence) -> list[str]:
    if job.order.delivery == "at_most_once" and len(job.starts) > 1:
        return [f"I2: {job.order.job_id} was started {len(job.starts)} times: {_told(job.starts)}"]
    return []


def _log_in_order(job: Evidence) -> list[str]:
    """I5: a run's lines come once and in order; those of the run that counts come whole, or marked."""
    assert job.record is not None
    log, name = job.record["logs"] or "", job.order.job_id
    lines = [(int(pid), int(number)) for pid, number in LINE.findall(log)]
    found = []
    for run in {pid for pid, _ in lines}:
        of_run = [number for pid, number in lines if pid == run]
        if of_run != sorted(set(of_run)):
            found.append(f"I5: the log of {name} repeats or reorders lines of run {run}")
    if is_whole(job) or GAP in log:
        return found
    return [*found, f"I5: the log of {name} lacks lines of the run that counts: {len(lines)} are there"]


def is_whole(job: Evidence) -> bool:
    """Whether the log has every line of the run that made the result; True where none did."""
    if job.record is None or not job.record["success"]:
        return True
    pid = str(job.record["result"]).split()[2]
    lines = [int(number) for run, number in LINE.findall(job.record["logs"] or "") if run == pid]
    return lines == list(range(job.order.shape.lines))


def _never_after_cancel(job: Evidence) -> list[str]:
    """I7, where it can be proven from outside: who ended a job as cancelled does not start it later."""
    assert job.record is not None
    if not job.record["canceled"]:
        return []
    name = job.order.job_id
    if not job.custody and job.starts:
        return [f"I7: {name} was cancelled before anybody took it, and was started: {_told(job.starts)}"]
    ended = {
        row["attempt"]: row["closed_at"]
        for row in job.custody
        if row["outcome"] == "canceled" and row["custodian"] is not None
    }
    return [
        f"I7: {name} was started {start.at_s - ended[start.attempt]:.2f} s after its custodian had ended it"
        for start in job.starts
        if start.attempt in ended and start.at_s > ended[start.attempt]
    ]


def _told(starts: Sequence[Start]) -> str:
    return ", ".join(f"attempt {one.attempt} at {one.site} pid {one.pid} {one.at_s:.3f}" for one in starts)
