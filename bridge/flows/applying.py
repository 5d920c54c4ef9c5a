"""One transition of a flow, read and written inside the transaction that it is given."""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw

from bridge.errors import BadRequest
from bridge.flows import caching, status, values
from bridge.flows.children import Pusher
from bridge.flows.definition import FlowValue, encoded, parsed
from bridge.flows.model import (
    Cancel,
    CancelAsked,
    ChildEnded,
    Due,
    End,
    Event,
    Items,
    Proceed,
    Resumed,
    Run,
    Transition,
)
from bridge.flows.refs import ArgsOf, OfJob
from bridge.flows.resolving import text_of
from bridge.flows.status import Status
from bridge.jobs import parents, transitions
from bridge.jobs.lanes import FLOW
from bridge.jobs.model import Cancel as Stopping
from bridge.jobs.news import LATER, Kind
from bridge.jobs.push import checked_args
from bridge.jobs.tag_rules import TagRules
from bridge.jobs.tags import assign
from bridge.jobs.transitions import TIME_LIMIT, Storable
from bridge.store.bulletin import Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Row

SQL: Final = queries(Path(__file__).with_name("turns.sql"))
FLOWS_KEPT: Final = 64  # definitions that need not be parsed again


@dataclass(frozen=True, slots=True)
class Turn:
    """A flow's job as it stands, and what it is to be told next; None: nothing."""

    run: Run
    version: int
    worker: str | None
    wakes_at: float | None
    stops_at: float | None  # its time limit; None: it has none, or is being stopped
    event: Event | None
    event_at: int | None  # the row of the event; None: it has none


def read_turn(connection: Connection, job_id: str, now_s: float) -> Turn | None:
    """None: it has ended."""
    row = connection.execute(SQL["run"], {"id": job_id}).fetchone()
    if row is None:
        return None
    event, at = _next_event(connection, row, now_s)
    return Turn(_run(row, now_s), row["version"], row["worker"], row["wakes_at"], _stops_at(row), event, at)


def _stops_at(row: Row) -> float | None:
    if row["timeout_s"] is None or row["started_at"] is None or row["canceled_by"] is not None:
        return None
    return float(row["started_at"] + row["timeout_s"])


def is_out_of_time(turn: Turn) -> bool:
    return turn.stops_at is not None and turn.stops_at <= turn.run.now_s


def stop(connection: Connection, turn: Turn, tell: Tell) -> None:
    """Its time is over: as if somebody had cancelled it."""
    run = turn.run
    transitions.cancel(
        connection,
        run.workspace,
        run.job_id,
        by=TIME_LIMIT,
        reason="timeout after exceeding job-specific duration limit",
        how=Stopping.ASKED,
        now_s=run.now_s,
        tell=tell,
    )


def is_held_by(turn: Turn, worker: str) -> bool:
    """Whether it is this worker's still: a sweep may have given it to another."""
    return turn.worker == worker


def _run(row: Row, now_s: float) -> Run:
    return Run(
        job_id=row["id"],
        workspace=row["workspace_id"],
        value=_value(row["value"]),
        status=status.decoded(row["status"]),
        kind=row["kind"],
        tag=row["tag"],
        now_s=now_s,
        path=row["script_path"],
        priority=row["priority"],
        parent_job=row["parent_job"] if row["flow_step_id"] is not None else None,
        root_job=row["root_job"],
        flow_innermost_root_job=row["flow_innermost_root_job"],
        created_at_s=row["created_at"],
        started_at_s=row["started_at"],
        scheduled_for_s=row["scheduled_for"],
    )


@lru_cache(FLOWS_KEPT)
def _value(text: str) -> FlowValue:
    """Shared: nobody changes it."""
    return parsed(text.encode())


def _next_event(connection: Connection, row: Row, now_s: float) -> tuple[Event | None, int | None]:
    if row["canceled_by"] is not None:  # I7: before anything else is begun
        cancel = connection.execute(SQL["next_cancel"], {"id": row["id"]}).fetchone()
        if cancel is not None:
            return CancelAsked(row["canceled_by"], row["canceled_reason"]), cancel["at"]
    if row["again"]:
        return Proceed(), None
    event = connection.execute(SQL["next_event"], {"id": row["id"]}).fetchone()
    if event is not None:
        return _event(event), event["at"]
    if row["wakes_at"] is not None and row["wakes_at"] <= now_s:
        return Due(), None
    return None, None


def _event(event: Row) -> Event:
    if event["what"] != parents.ENDED or event["module_id"] is None:
        return Resumed()
    return ChildEnded(
        job_id=event["job_id"],
        module_id=event["module_id"],
        round=event["round"],
        position=event["position"],
        ok=bool(event["ok"]),
        skipped=bool(event["skipped"]),
        stopped=bool(event["stopped"]),
        handled=bool(event["handled"]),
    )


def ends_as_before(connection: Connection, turn: Turn, tell: Tell) -> bool:
    """Whether the same was run within its `cache_ttl`: then it ends as that did."""
    run = turn.run
    if not run.value.cache_ttl or turn.version > 0:
        return False
    args = text_of(connection, ArgsOf(run.job_id))
    work = caching.work_of(run.workspace, run.kind, run.path, encoded(run.value).decode(), args)
    before = caching.done_before(connection, work, run.value.cache_ttl, run.now_s)
    if before is None:
        caching.note(connection, work, run.job_id)
        return False
    end = End(status="success", result=OfJob(before), ok=True)
    _end(connection, run.job_id, end, run.now_s, tell)
    return True


def park(connection: Connection, turn: Turn, tell: Tell) -> None:
    """Until something happens, or until its time."""
    wakes_at = min((at for at in (turn.wakes_at, turn.stops_at) if at is not None), default=None)
    connection.execute(SQL["park"], {"id": turn.run.job_id, "wakes_at": wakes_at})
    tell(Note(Kind.OVER, turn.run.job_id))  # this run is over; nobody pings for it
    if wakes_at is not None:
        tell(LATER)


def apply(connection: Connection, turn: Turn, out: Transition, tags: TagRules, tell: Tell) -> None:
    """All of it, and the event that led to it is taken."""
    flow_id, now_s = turn.run.job_id, turn.run.now_s
    if turn.event_at is not None:
        connection.execute(SQL["drop_event"], {"at": turn.event_at})
    for cancel in out.cancels:
        _cancel(connection, flow_id, cancel, now_s, tell)
    for items in out.items:
        _keep(connection, flow_id, items)
    if out.used_resumes is not None:
        words = {"job_id": out.used_resumes.job_id, "flow_id": out.used_resumes.flow_id}
        connection.execute(SQL["take_words"], words)
    if out.new_args is not None:
        _set_args(connection, turn, values.as_args(text_of(connection, out.new_args).encode()), tags)
    if out.pushes:
        pusher = Pusher(connection, flow_id, tags, now_s, tell)
        for asked in out.pushes:
            pusher.push(asked)
        pusher.flush()
    _save(connection, turn, out, tell)
    if out.end is not None:
        _end(connection, flow_id, out.end, now_s, tell)


def _cancel(connection: Connection, flow_id: str, cancel: Cancel, now_s: float, tell: Tell) -> None:
    for child in parents.open_children(connection, flow_id):
        if cancel.module_id not in (None, child["module_id"]) or cancel.round not in (None, child["round"]):
            continue
        if not cancel.forced:
            transitions.cancel_step(connection, child, cancel.by, cancel.reason, now_s, tell)
            continue
        assert cancel.error is not None  # noqa: S101 a forced one says how its children end
        transitions.end_step(connection, child, Storable(cancel.error), now_s, tell)
        connection.execute(SQL["drop_events_of"], {"id": flow_id, "job_id": child["job_id"]})


def _set_args(connection: Connection, turn: Turn, args: bytes, tags: TagRules) -> None:
    """The flow's, from now on; a tag that names arguments is made anew, where that can be one."""
    run = turn.run
    tag = run.tag
    row = connection.execute(SQL["own_tag"], {"id": run.job_id}).fetchone()
    if row is not None and "$args[" in (row["tag"] or ""):
        with suppress(BadRequest):
            tag = assign(row["tag"], FLOW, run.workspace, checked_args(args), tags)
    connection.execute(SQL["set_args"], {"id": run.job_id, "args": args.decode(), "tag": tag})


def _keep(connection: Connection, flow_id: str, items: Items) -> None:
    place = {"flow_id": flow_id, "module_id": items.module_id, "round": items.round}
    parts = msgspec.json.decode(items.json, type=list[Raw])
    rows = [{**place, "position": at, "value": bytes(part).decode()} for at, part in enumerate(parts)]
    connection.executemany(SQL["keep_item"], rows)


def _save(connection: Connection, turn: Turn, out: Transition, tell: Tell) -> None:
    flow_id = turn.run.job_id
    connection.execute(
        SQL["save"],
        {
            "id": flow_id,
            "status": status.encoded(out.status).decode(),
            "again": out.again,
            "wakes_at": out.wake_at_s,
            "suspend": out.suspended,
            "early_result": _early(connection, turn, out.status, tell),
        },
    )
    connection.execute(SQL["got_on"], {"id": flow_id})


def _early(connection: Connection, turn: Turn, now: Status, tell: Tell) -> str | None:
    """What callers that wait are answered with: the result of the step that the flow names."""
    if turn.run.value.early_return is None:
        return None
    known: str | None = connection.execute(SQL["early_result"], {"id": turn.run.job_id}).fetchone()[0]
    found = status.early_result(turn.run.value, now)
    if known is not None or found is None:
        return known
    tell(Note(Kind.OVER, turn.run.job_id))
    return text_of(connection, found)


def _end(connection: Connection, flow_id: str, end: End, now_s: float, tell: Tell) -> None:
    ok = end.status in ("success", "skipped")
    ended = "failure" if end.canceled_by == TIME_LIMIT else end.status  # as of any job
    transitions.record_end(
        connection,
        flow_id,
        transitions.End(
            status="success" if ok else ended,
            result=transitions.Storable(text_of(connection, end.result)),
            now_s=now_s,
            canceled_by=end.canceled_by,
            canceled_reason=end.canceled_reason,
            skipped=end.status == "skipped",
            outcome=parents.Outcome(
                ok=end.ok, skipped=end.status == "skipped", stopped=end.stopped, handled=end.handled
            ),
        ),
        tell,
    )
