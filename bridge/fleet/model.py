"""A worker as people look at it: whether it is there, what it holds, since when. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

PING_S: Final = 10.0  # how often an agent speaks that does not say so itself
SLACK: Final = 1.5  # a ping that is late by half is late; by more, the link is down
SLACK_S: Final = 1.5  # what the way and the store may take
HTTP_SILENCE_S: Final = 75.0  # over HTTP an idle agent speaks twice a minute
NORMAL_SILENCE_S: Final = 20.0  # a normal worker says each 5 s that it is there


class Kind(StrEnum):
    BROKER = "RabbitMQ"  # an agent whose link is the broker
    HTTP = "HTTP"  # an agent that asks the cluster itself
    NORMAL = "normal"  # a normal worker: not at a site


class State(StrEnum):
    UP = "up"
    DRAINING = "draining"  # up, and takes nothing new
    DOWN = "down"
    LEFT = "stopped"  # it said good-bye
    REVOKED = "revoked"  # its token holds no more
    EXPIRED = "expired"


THERE: Final = (State.UP, State.DRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """None: it does not tell. Times are wall seconds of the bridge."""

    worker: str
    group: str
    kind: Kind
    state: State
    since: float  # the state; of one that is up, when it came
    last_heard: float
    known_since: float = 0.0  # when it first came
    tags: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()  # that it runs; none: it does not tell
    version: str = ""
    slots: int | None = None
    running: int | None = None
    held: int | None = None
    backlog: int | None = None
    backlog_since: float | None = None  # when the oldest result that waits was ready
    spool_bytes: int | None = None
    spool_most_bytes: int | None = None
    clock_offset_ms: int | None = None
    drained_by: str | None = None
    token_id: str = ""
    expires_at: float | None = None

    @property
    def name(self) -> str:
        """Without what it shares with its group."""
        prefix = "wk" if self.kind is Kind.NORMAL else "ag"
        return self.worker.removeprefix(f"{prefix}-{self.group}-")

    @property
    def is_there(self) -> bool:
        return self.state in THERE

    @property
    def spool_share(self) -> float | None:
        if self.spool_bytes is None or not self.spool_most_bytes:
            return None
        return min(1.0, self.spool_bytes / self.spool_most_bytes)


@dataclass(frozen=True, slots=True)
class OwnScript:
    """The newest run of a script of the site itself."""

    name: str
    job_id: str
    at: float  # when the cluster heard of it
    status: str | None  # None: it has no result
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Outage:
    down_at: float
    up_at: float | None  # None: still
    on_purpose: bool


@dataclass(frozen=True, slots=True)
class History:
    """Of the last day, by worker."""

    since: float
    until: float
    step_s: float
    outages: Mapping[str, Sequence[Outage]]
    done_while_down: Mapping[str, Mapping[int, int]]  # jobs by place: `step_s` after `since`


NO_HISTORY: Final = History(0.0, 1.0, 1.0, {}, {})


def due_s(next_s: float | None) -> float:
    """Seconds of silence after which an agent that would speak again in `next_s` is taken for cut off."""
    return (next_s or PING_S) * SLACK + SLACK_S


def enrolled(row: Mapping[str, Any], tags: tuple[str, ...], now_s: float, history: History) -> Agent:
    """`row`: of the statement `enrolled`."""
    state, since = _state(row, now_s)
    age_s = row["backlog_age_s"]
    backlog_since = row["last_heard"] - age_s if age_s is not None and row["backlog"] else None
    return Agent(
        worker=row["worker"],
        group=row["worker_group"],
        kind=Kind.BROKER,
        state=state,
        since=_up_since(row["worker"], row["enrolled_at"], history) if state in THERE else since,
        last_heard=row["last_heard"],
        known_since=row["enrolled_at"],
        tags=tags,
        languages=tuple(json.loads(row["languages"] or "[]")),
        version=row["version"] or "",
        slots=row["slots"],
        running=row["running"],
        held=row["held"],
        backlog=row["backlog"],
        backlog_since=backlog_since,
        spool_bytes=row["spool_bytes"],
        spool_most_bytes=row["spool_most_bytes"],
        clock_offset_ms=row["clock_offset_ms"],
        drained_by=row["drained_by"],
        token_id=row["token_id"] or "",
        expires_at=row["expires_at"],
    )


def _state(row: Mapping[str, Any], now_s: float) -> tuple[State, float]:
    heard = row["last_heard"]
    if row["standing"] in (State.REVOKED, State.EXPIRED):
        return State(row["standing"]), heard
    if row["left_at"] is not None:
        return State.LEFT, row["left_at"]
    if now_s - heard > due_s(row["next_s"]):
        return State.DOWN, heard
    return State.DRAINING if row["drained_by"] is not None else State.UP, heard


def _up_since(worker: str, first: float, history: History) -> float:
    ended = [one.up_at for one in history.outages.get(worker, ()) if one.up_at is not None]
    return max([first, *ended])


def over_http(agent: Agent, pinged_at: float, running: int, now_s: float) -> Agent:
    """An enrolled agent whose link is HTTP: it speaks by what it asks."""
    heard = max(agent.last_heard, pinged_at)
    state = agent.state
    if state in (*THERE, State.DOWN):
        is_there = now_s - heard <= HTTP_SILENCE_S
        state = (State.DRAINING if agent.drained_by else State.UP) if is_there else State.DOWN
    since = agent.since if state is agent.state else heard
    return replace(
        agent, kind=Kind.HTTP, state=state, since=since, last_heard=heard, running=running, held=running
    )


def pinging(
    row: Mapping[str, Any], tags: tuple[str, ...], running: int, now_s: float, history: History
) -> Agent:
    """`row`: of the statement `pinging`, of a worker that never enrolled."""
    heard = row["pinged_at"]
    kind = Kind.HTTP if row["worker"].startswith("ag-") else Kind.NORMAL
    is_there = now_s - heard <= (NORMAL_SILENCE_S if kind is Kind.NORMAL else HTTP_SILENCE_S)
    return Agent(
        worker=row["worker"],
        group=row["worker_group"],
        kind=kind,
        state=State.UP if is_there else State.DOWN,
        since=_up_since(row["worker"], row["started_at"], history) if is_there else heard,
        last_heard=heard,
        known_since=row["started_at"],
        tags=tags,
        version=row["version"],
        running=running,
        held=running,
    )
