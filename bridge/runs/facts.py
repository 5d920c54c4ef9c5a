"""Rows of the store as facts. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.fleet.model import Agent, Kind, State
from bridge.runs.model import AWAY, Attempt, Job, Link, Server, Standing, Where
from bridge.store.store import Row

STANDINGS: Final = {
    State.UP: Standing.UP,
    State.DRAINING: Standing.DRAINING,
    State.DOWN: Standing.DOWN,
    State.LEFT: Standing.LEFT,
    State.REVOKED: Standing.DOWN,
    State.EXPIRED: Standing.DOWN,
}


def job_of(row: Mapping[str, Any], last_ping_at: float | None) -> Job:
    is_over = row["status"] is not None
    where = Where.OVER if is_over else Where(row["state"])
    return Job(
        job_id=row["id"],
        workspace=row["workspace_id"],
        tag=row["tag"],
        where=where,
        language=row["language"] or "",
        created_at=row["created_at"],
        created_by=row["created_by"],
        scheduled_for=row["scheduled_for"],
        delivery=row["delivery"],
        not_after=row["not_after"],
        worker=row["ended_by"] if is_over else row["queue_worker"],
        handed_out_at=row["started_at"] if is_over else row["queue_started_at"],
        restarts=row["restarts"] or 0,
        canceled_by=row["canceled_by"] if is_over else row["asked_by"],
        canceled_reason=row["canceled_reason"] if is_over else row["asked_reason"],
        status=row["status"],
        completed_at=row["completed_at"],
        duration_ms=row["duration_ms"],
        last_ping_at=last_ping_at,
        percent=row["percent"],
        waits_for=row["waits_for"],
        met_limit=row["met_limit"],
    )


def attempt_of(row: Row) -> Attempt:
    """A site's clock may be wrong: its times are put right by what it said of its offset."""
    ahead_s = (row["clock_offset_ms"] or 0) / 1000
    return Attempt(
        number=row["attempt"],
        state=row["state"],
        taken_at=row["taken_at"],
        published_at=row["published_at"],
        custodian=row["custodian"],
        accepted_at=row["accepted_at"],
        started_at=None if row["started_at"] is None else row["started_at"] - ahead_s,
        finished_at=None if row["finished_at"] is None else row["finished_at"] - ahead_s,
        result_at=row["result_at"],
        closed_at=row["closed_at"],
        outcome=row["outcome"],
        late=row["late"],
        revoked=row["revoked"],
        finished_while_down=bool(row["finished_while_down"]),
        cancel_sent=row["cancel_sent"],
        waits_for=row["waits_for"],
    )


def server_of(agent: Agent, *, has_broker: bool) -> Server:
    """`has_broker`: of this bridge. Where there is none, whoever has enrolled asks it over HTTP."""
    standing = STANDINGS[agent.state]
    return Server(
        name=agent.worker,
        link=Link.BROKER if agent.kind is Kind.BROKER and has_broker else Link.HTTP,
        standing=standing,
        since=agent.since if standing in AWAY else agent.last_heard,
        slots=agent.slots,
        held=agent.held,
        languages=frozenset(agent.languages) or None,
    )


def may_serve(agent: Agent, tag: str) -> bool:
    """Whether it can ever take a job of the tag."""
    return tag in agent.tags and agent.state not in (State.REVOKED, State.EXPIRED)
