"""Each change of a job's record, inside the writer's transaction that it is given."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NewType

import msgspec

from agent.wire.agent_api import state_path
from agent.wire.claims import Claims, Tag
from agent.wire.messages import Delivery
from bridge.errors import NotFound
from bridge.jobs import formers, limits, parents, retries
from bridge.jobs.lanes import FLOW_KINDS, is_reserved, lane_of
from bridge.jobs.model import Cancel, Completed, Completion, error_object
from bridge.jobs.news import LATER, READY, Kind
from bridge.jobs.rules import Rules
from bridge.jobs.states import keep_states
from bridge.store.bulletin import Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, NotBeside, Row

SQL: Final = queries(Path(__file__).with_name("jobs.sql"))
TIME_LIMIT: Final = "timeout"  # who cancels a job at its time limit (agent-api.md 2.1)
POISON: Final = "Poison"  # the name of an agent's error (agent.jobs.reconciler)
POISON_MAX_CHARS: Final = 2000
INT64_MAX: Final = 2**63 - 1
PASSED_OVER_MAX: Final = 1000  # jobs that one pull may find too late or held back; the next pull goes on

Storable = NewType("Storable", str)  # JSON text that was checked
Also = Callable[[Connection, Tell], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a job's record ends; `error` and `result` exclude each other."""

    status: str
    result: Storable
    now_s: float
    duration_ms: int | None = None
    mem_peak_kb: int | None = None
    canceled_by: str | None = None
    canceled_reason: str | None = None
    skipped: bool = False  # it succeeded, and what it was for was passed over
    outcome: parents.Outcome | None = None  # what it means to its flow; None: what its status says


class _Error(msgspec.Struct):
    name: str
    message: str = ""


def error_text(error: Mapping[str, Any]) -> Storable:
    return Storable(msgspec.json.encode({"error": error}).decode())


def runs_of(languages: Iterable[str] | None) -> str | None:
    """As `take_best` takes them; None: all."""
    return None if languages is None else f",{','.join(sorted(languages))},"


def take_best(
    connection: Connection,
    worker: str,
    tags: Sequence[str],
    now_s: float,
    tell: Tell,
    runs: str | None = None,
) -> Row | None:
    """Hand the best ready job of these tags to `worker`; None: none of them is ready.

    `runs`: the languages that count, with commas between them and at both ends; None: all.

    One whose `not_after` passed ends here instead, one whose key is full is held back.
    """
    promote(connection, now_s, tell)
    for _ in range(PASSED_OVER_MAX):
        best = _best(connection, tags, runs)
        if best is None:
            return None
        if best["not_after"] is not None and best["not_after"] <= now_s:
            expire(connection, best["id"], now_s, tell)
        elif limits.may_start(connection, best["id"], tell):
            connection.execute(SQL["take"], {"id": best["id"], "worker": worker, "now": now_s})
            return read_pulled(connection, best["id"])
    tell(READY)  # there may be more behind those
    return None


def take_beside(
    connection: Connection, worker: str, tags: Sequence[str], now_s: float, runs: str | None = None
) -> Row | None:
    """As `take_best`, for pulls that run beside each other: each skips the rows that another has in hand.

    So of one job they touch its own row of the queue alone, and never wait for one another. Where more is at
    stake (a time that has come, a key's places, an end) it raises `NotBeside`. A tag's best is locked only
    once the tag is chosen: what a pull locks and leaves would look taken to the others.
    """
    due_s = next_due(connection)
    if due_s is not None and due_s <= now_s:
        raise NotBeside
    for tag in _ranked(connection, tags, runs):
        best = connection.execute(SQL["lock_best_of_tag"], {"tag": tag, "runs": runs}).fetchone()
        if best is None:
            continue
        if best["not_after"] is not None or best["concurrency_key"] is not None:
            raise NotBeside
        connection.execute(SQL["take"], {"id": best["id"], "worker": worker, "now": now_s})
        return read_pulled(connection, best["id"])
    return None


def promote(connection: Connection, now_s: float, tell: Tell) -> None:
    """What is due now waits with the rest: jobs by their time, and places of keys by their window."""
    due = connection.execute(SQL["promote"], {"now": now_s}).fetchall()
    for tag in {row["tag"] for row in due}:
        tell(Note(Kind.PUSHED, tag))
    limits.free_due(connection, now_s, tell)


def next_due(connection: Connection) -> float | None:
    """When `promote` has something to do next, in wall seconds."""
    (due_s,) = connection.execute(SQL["next_due"]).fetchone()
    return min((one for one in (due_s, limits.next_free(connection)) if one is not None), default=None)


def any_ready(connection: Connection, tags: Sequence[str]) -> bool:
    """Of whatever language."""
    return _best(connection, tags, None) is not None


def _best(connection: Connection, tags: Sequence[str], runs: str | None) -> Row | None:
    found = (connection.execute(SQL["best_of_tag"], {"tag": tag, "runs": runs}).fetchone() for tag in tags)
    return min((row for row in found if row is not None), key=_rank, default=None)


def _ranked(connection: Connection, tags: Sequence[str], runs: str | None) -> Sequence[str]:
    """The tags that have a ready job, the best job's first."""
    if len(tags) == 1:
        return tags
    asked = ({"tag": tag, "runs": runs} for tag in tags)
    found = {one["tag"]: connection.execute(SQL["best_of_tag"], one).fetchone() for one in asked}
    return sorted((tag for tag in tags if found[tag] is not None), key=lambda tag: _rank(found[tag]))


def _rank(row: Row) -> tuple[float, float, float]:
    priority = -math.inf if row["priority"] is None else row["priority"]
    return -priority, row["scheduled_for"], row["created_at"]


def read_pulled(connection: Connection, job_id: str) -> Row:
    row: Row = connection.execute(SQL["pulled"], {"id": job_id}).fetchone()
    return row


def read_held(connection: Connection, job_id: str, worker: str) -> Row | None:
    held = connection.execute(SQL["held_same_worker"], {"id": job_id, "worker": worker}).fetchone()
    return None if held is None else read_pulled(connection, job_id)


def expire(connection: Connection, job_id: str, now_s: float, tell: Tell) -> None:
    error = error_object("Expired", "not_after passed before the job was started")
    record_end(connection, job_id, End(status="failure", result=error_text(error), now_s=now_s), tell)


def standing(connection: Connection, job_id: str, workspace: str | None) -> Row | None:
    """Where the job stands; `workspace=None` asks in all of them."""
    values = {"id": job_id, "workspace_id": workspace}
    row: Row | None = connection.execute(SQL["standing"], values).fetchone()
    return row


def may_speak(row: Row, caller: Claims | None) -> bool:
    """An agent speaks for jobs of its tags, and for what it was given (I4). The bridge speaks for all.

    For a flow or a dependency job no tag lets an agent speak.
    """
    if caller is None:
        return True
    has_tag = caller.may_run(Tag(row["tag"])) and not is_reserved(lane_of(row["kind"], row["tag"]))
    return has_tag or caller.worker in (row["worker"], row["ended_by"])


def complete(
    connection: Connection,
    workspace: str,
    job_id: str,
    completion: Completion,
    *,
    result: Storable,
    now_s: float,
    caller: Claims | None,
    rules: Rules,
    tell: Tell,
    also: Also | None = None,
) -> Completed:
    """Record the first completion; every later one changes nothing (I1). With it, `also` is done."""
    row = standing(connection, job_id, workspace)
    if row is None or not may_speak(row, caller):
        return Completed.UNKNOWN
    if row["status"] is not None:
        return Completed.ALREADY
    if caller is not None and _is_distrusted(connection, job_id, row, caller):
        return Completed.DISTRUSTED
    canceled_by = completion.canceled_by
    if canceled_by is None and not completion.success:
        canceled_by = row["canceled_by"]
    status = "success" if completion.success else "failure"
    end = End(
        status="canceled" if canceled_by is not None else status,
        result=result if completion.success else Storable(f'{{"error":{result}}}'),
        now_s=now_s,
        duration_ms=completion.duration_ms,
        mem_peak_kb=completion.mem_peak_kb,
        canceled_by=canceled_by,
        canceled_reason=completion.canceled_reason or row["canceled_reason"],
    )
    if completion.states:
        keep_states(connection, job_id, _state_path(row), completion.states, now_s)
    record_end(connection, job_id, end, tell)
    drop_steps(connection, job_id, row, now_s, tell)
    if not completion.success and canceled_by is None:
        _note_poison(connection, job_id, row, result, now_s)
    failed = not completion.success and canceled_by in (None, TIME_LIMIT) and completion.may_retry
    once = rules.delivery(Tag(row["tag"]), Delivery(row["delivery"])) is Delivery.AT_MOST_ONCE  # I2
    if failed and not once and retries.push_next(connection, job_id, now_s):
        tell(LATER)
    if also is not None:
        also(connection, tell)
    return Completed.RECORDED


def _state_path(row: Row) -> str:
    is_scheduled = row["schedule_path"] is not None
    return state_path(
        row["script_path"], row["permissioned_as"], row["created_by"], is_scheduled=is_scheduled
    )


def _is_distrusted(connection: Connection, job_id: str, row: Row, caller: Claims) -> bool:
    """It was taken from this worker for its revoked token, and the worker has not got it again since."""
    return row["worker"] != caller.worker and formers.is_distrusted(connection, job_id, caller.worker)


def _note_poison(connection: Connection, job_id: str, row: Row, error: Storable, now_s: float) -> None:
    """A job that killed its host again and again is no failure like others: somebody has to look at it."""
    if len(error) > POISON_MAX_CHARS or POISON not in error:
        return
    try:
        told = msgspec.json.decode(error, type=_Error)
    except msgspec.MsgspecError:
        return
    if told.name == POISON:
        values = {
            "id": job_id,
            "fingerprint": f"poison {job_id}",
            "now": now_s,
            "worker": row["worker"],
            "attempt": row["restarts"] + 1,
            "reason": told.message,
        }
        connection.execute(SQL["note_poison"], values)


def record_ended(connection: Connection, job_id: str, end: End) -> None:
    """A job that has ended when it is pushed, and was never in the queue."""
    values = {
        "id": job_id,
        "status": end.status,
        "result": end.result,
        "started_at": end.now_s,
        "completed_at": end.now_s,
        "duration_ms": 0,
        "mem_peak_kb": None,
        "worker": None,
        "canceled_by": end.canceled_by,
        "canceled_reason": end.canceled_reason,
        "skipped": end.skipped,
    }
    connection.execute(SQL["insert_completed"], values)


def record_end(connection: Connection, job_id: str, end: End, tell: Tell) -> None:
    """It may let in a job which waited for this one, and the flow that it is a step of goes on."""
    row = standing(connection, job_id, None)
    assert row is not None  # noqa: S101 every caller has just read the job
    duration_ms = end.duration_ms
    if duration_ms is None:
        started_s = row["started_at"] if row["started_at"] is not None else end.now_s
        duration_ms = max(0, round((end.now_s - started_s) * 1000))
    values = {
        "id": job_id,
        "status": end.status,
        "result": end.result,
        "started_at": row["started_at"],
        "completed_at": end.now_s,
        "duration_ms": _clamped(duration_ms),
        "mem_peak_kb": None if end.mem_peak_kb is None else _clamped(end.mem_peak_kb),
        "worker": row["worker"],
        "canceled_by": end.canceled_by,
        "canceled_reason": end.canceled_reason,
        "skipped": end.skipped,
    }
    connection.execute(SQL["insert_completed"], values)
    connection.execute(SQL["drop_parts"], {"id": job_id})
    limits.ended(connection, job_id, end.now_s, tell)
    connection.execute(SQL["delete_queue"], {"id": job_id})
    if row["kind"] in FLOW_KINDS:
        parents.over(connection, job_id)
    outcome = end.outcome or parents.Outcome(ok=end.status == "success", skipped=end.skipped)
    parents.child_ended(connection, row, job_id, outcome, tell)
    tell(Note(Kind.OVER, job_id))


def _clamped(number: int) -> int:
    """A figure that a device made up must not keep its job from being recorded (I1)."""
    return max(-INT64_MAX, min(INT64_MAX, number))


def cancel(
    connection: Connection,
    workspace: str,
    job_id: str,
    *,
    by: str,
    reason: str | None,
    how: Cancel,
    now_s: float,
    tell: Tell,
) -> None:
    """Not running: it ends here and never starts (I7). Running: its worker is told at its next ping.

    Forced, it ends here even while it runs; its worker is told that it is completed. With a flow, its steps.
    Raises `NotFound`.
    """
    row = _queued(connection, workspace, job_id)
    _cancel(connection, job_id, row, by, reason, how, now_s, tell)


def _cancel(
    connection: Connection,
    job_id: str,
    row: Row,
    by: str,
    reason: str | None,
    how: Cancel,
    now_s: float,
    tell: Tell,
) -> None:
    """A flow first, so that it pushes no more steps; it ends once those that run have."""
    is_flow = row["kind"] in FLOW_KINDS
    if row["started_at"] is not None and how is Cancel.ASKED:
        connection.execute(SQL["flag_canceled"], {"id": job_id, "by": by, "reason": reason})
        if is_flow:
            parents.overtake(connection, job_id)
            parents.note(connection, job_id, parents.CANCELED, tell)
    else:
        end_canceled(connection, job_id, by, reason, now_s, tell)
    if row["worker"] is not None:
        tell(Note(Kind.CANCELED, row["worker"]))
    for child in parents.open_children(connection, job_id) if is_flow else ():
        _cancel(connection, child["job_id"], child, by, reason, how, now_s, tell)


def drop_steps(connection: Connection, job_id: str, row: Row, now_s: float, tell: Tell) -> None:
    """A flow was ended from outside: nobody waits for its steps any more. `row`: where it stood."""
    for step in parents.open_children(connection, job_id) if row["kind"] in FLOW_KINDS else ():
        cancel_step(connection, step, "its flow", "the flow has ended", now_s, tell)


def cancel_step(connection: Connection, step: Row, by: str, reason: str, now_s: float, tell: Tell) -> None:
    """As `cancel`, of one of `parents.open_children`."""
    _cancel(connection, step["job_id"], step, by, reason, Cancel.ASKED, now_s, tell)


def end_step(connection: Connection, step: Row, error: Storable, now_s: float, tell: Tell) -> None:
    """One of `parents.open_children` ends now, failed with `error`; a flow with its own steps."""
    below = parents.open_children(connection, step["job_id"]) if step["kind"] in FLOW_KINDS else []
    record_end(connection, step["job_id"], End(status="failure", result=error, now_s=now_s), tell)
    if step["worker"] is not None:
        tell(Note(Kind.CANCELED, step["worker"]))
    for one in below:
        end_step(connection, one, error, now_s, tell)


def _queued(connection: Connection, workspace: str, job_id: str) -> Row:
    row = standing(connection, job_id, workspace)
    if row is None:
        raise NotFound(f"job {job_id} not found in workspace {workspace}")
    if row["state"] is None:
        raise NotFound(f"job {job_id} is not in the queue: it is completed already")
    return row


def end_canceled(
    connection: Connection, job_id: str, by: str, reason: str | None, now_s: float, tell: Tell
) -> None:
    told = f"Job canceled: {reason or ''} by {by}"
    error = error_object("Canceled", told, reason=reason, canceler=by)
    end = End(
        status="canceled", result=error_text(error), now_s=now_s, canceled_by=by, canceled_reason=reason
    )
    record_end(connection, job_id, end, tell)


def flag_canceled(connection: Connection, job_id: str, by: str, reason: str, caller: Claims | None) -> None:
    """What a worker says before it stops a job itself, for example at its time limit."""
    row = standing(connection, job_id, None)
    if row is None or not may_speak(row, caller):
        raise NotFound(f"job {job_id} not found")
    connection.execute(SQL["flag_canceled"], {"id": job_id, "by": by, "reason": reason})
