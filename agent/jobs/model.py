"""The life of a held job, as a table that can be read aloud (DESIGN section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from agent.jobs.deadline import Deadline
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery


class State(StrEnum):
    WAITING = "waiting"  # at_most_once, not yet granted
    READY = "ready"  # may start when a slot is free
    STARTED = "started"  # its process may exist
    FINISHED = "finished"  # the result is on disk
    SENT = "sent"  # the broker has the result
    DROPPED = "dropped"  # somebody else's now


UNSTARTED: Final = (State.WAITING, State.READY)
OVER: Final = (State.FINISHED, State.SENT)  # found on disk only


class Event(StrEnum):
    GRANTED = "granted"
    CANCELLED = "cancelled"
    REVOKED = "revoked"
    STARTED = "started"
    EXITED = "exited"
    INTERRUPTED = "interrupted"  # a crash found it started; it runs again
    ABANDONED = "abandoned"  # a crash found it started; it may not run again
    EXPIRED = "expired"
    REFUSED = "refused"  # the site's policy does not allow it
    CONFIRMED = "confirmed"
    MISSED = "missed"  # the broker lost what it had confirmed


class OutOfOrder(Exception):
    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event} cannot happen to a job that is {state}")


PEER_EVENTS: Final = (Event.GRANTED, Event.CANCELLED, Event.REVOKED)


def late(state: State) -> dict[Event, State]:
    """A peer's words may come late or twice, and then change nothing. Our own may not."""
    return dict.fromkeys(PEER_EVENTS, state)


TABLE: Final[Mapping[State, Mapping[Event, State]]] = {
    State.WAITING: {
        **late(State.WAITING),
        Event.GRANTED: State.READY,
        Event.CANCELLED: State.FINISHED,
        Event.REVOKED: State.DROPPED,
        Event.EXPIRED: State.FINISHED,
        Event.ABANDONED: State.FINISHED,
    },
    State.READY: {
        **late(State.READY),
        Event.STARTED: State.STARTED,
        Event.CANCELLED: State.FINISHED,  # I7: no way from here to STARTED
        Event.REVOKED: State.DROPPED,
        Event.EXPIRED: State.FINISHED,
        Event.REFUSED: State.FINISHED,
        Event.ABANDONED: State.FINISHED,
    },
    State.STARTED: {  # on cancel the runner stops it; EXITED follows
        **late(State.STARTED),
        Event.EXITED: State.FINISHED,
        Event.INTERRUPTED: State.READY,
        Event.ABANDONED: State.FINISHED,
    },
    State.FINISHED: {**late(State.FINISHED), Event.CONFIRMED: State.SENT},
    State.SENT: {**late(State.SENT), Event.CONFIRMED: State.SENT, Event.MISSED: State.FINISHED},
    State.DROPPED: late(State.DROPPED),
}


def step(state: State, event: Event) -> State:
    """The state after `event`. Raises `OutOfOrder`; never guesses."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise OutOfOrder(state, event) from None


Key = tuple[JobId, Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A job in custody that is not over, without its bytes. The spool's row wins; this mirrors it."""

    job_id: JobId
    attempt: Attempt
    tag: Tag
    state: State
    delivery: Delivery
    held_at: float  # wall seconds, for order and display only
    priority: int | None = None
    max_interruptions: int = 3
    interruptions: int = 0
    expires_s: float | None = None  # monotonic
    deadline: Deadline | None = None  # what `expires_s` follows from
    canceled_by: str | None = None
    cancel_reason: str | None = None
    started_at: float | None = None  # wall seconds
    started_sent: bool = False
    log_chars: int = 0
    bundle: str = ""  # of what it imports; it starts when that is complete

    @property
    def key(self) -> Key:
        return (self.job_id, self.attempt)

    def rank(self) -> tuple[int, float]:
        """Smaller runs first: priority, then age."""
        return (-(self.priority or 0), self.held_at)

    def after(self, event: Event) -> "Held":
        """The job after `event`; an interruption is counted. Raises `OutOfOrder`."""
        interrupted = event is Event.INTERRUPTED
        return replace(
            self, state=step(self.state, event), interruptions=self.interruptions + (1 if interrupted else 0)
        )


def first_state(delivery: Delivery) -> State:
    """I2: an at_most_once job waits until the bridge has granted it."""
    return State.WAITING if delivery is Delivery.AT_MOST_ONCE else State.READY
