"""A normal worker takes a flow as far as it goes now, then parks it (DESIGN: decide purely, then act).

What is decided is written in the transaction in which it is decided, with the events that led to it: a
worker that is killed anywhere has either done a transition whole, or nothing of it, and another goes on.
Expressions may take seconds, so they are evaluated between transactions; a version says whether the flow has
changed meanwhile, and then it is decided anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from agent.clock import Clock
from bridge.flows.applying import (
    Turn,
    apply,
    ends_as_before,
    is_held_by,
    is_out_of_time,
    park,
    read_turn,
    stop,
)
from bridge.flows.asking import Asking
from bridge.flows.machine import decide
from bridge.flows.model import Ask, Transition
from bridge.flows.scope import Answer, Evaluate, Question
from bridge.jobs.heartbeats import Heartbeats
from bridge.jobs.model import Pulled
from bridge.jobs.tag_rules import TagRules
from bridge.store.bulletin import Tell
from bridge.store.store import Connection

T = TypeVar("T")

TRANSITIONS_MAX: Final = 50  # in one transaction, so that nobody else waits long for the store
PUSHES_AS_ONE: Final = 10  # a transition with many children counts as so many more


@dataclass(frozen=True, slots=True)
class Known:
    """What was answered, of a flow that stood at this version."""

    version: int | None = None
    answers: Mapping[Question, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """The flow cannot go on before these are answered."""

    version: int
    questions: tuple[Evaluate, ...]
    answers: Mapping[Question, Answer]  # so far


@dataclass(frozen=True, slots=True)
class More:
    """There is more to do, in another transaction."""


class Writes(Protocol):
    """Of a `Bulletin`."""

    async def write(self, work: Callable[[Connection, Tell], T]) -> T: ...


class Turns:
    def __init__(
        self,
        bulletin: Writes,
        clock: Clock,
        heartbeats: Heartbeats,
        tags: TagRules,
        asking: Asking,
    ) -> None:
        self._bulletin = bulletin
        self._clock = clock
        self._heartbeats = heartbeats
        self._tags = tags
        self._asking = asking

    async def turn(self, pulled: Pulled) -> None:
        """As far as the flow goes now. Raises `WriteFailed`; then whatever was written stands."""
        known = Known()
        while (left := await self._written(pulled, known)) is not None:
            self._heartbeats.note(pulled.job_id)
            known = await self._answered(pulled, left) if isinstance(left, Asked) else Known()

    async def _written(self, pulled: Pulled, known: Known) -> Asked | More | None:
        return await self._bulletin.write(
            lambda connection, tell: self._go_on(connection, tell, pulled, known)
        )

    async def _answered(self, pulled: Pulled, asked: Asked) -> Known:
        found = await self._asking.answers(pulled.workspace, asked.questions)
        return Known(asked.version, {**asked.answers, **found})

    def _go_on(self, connection: Connection, tell: Tell, pulled: Pulled, known: Known) -> Asked | More | None:
        """None: it is parked or over, or another worker has it."""
        left_to_do = TRANSITIONS_MAX
        while left_to_do > 0:
            turn = read_turn(connection, pulled.job_id, self._clock.wall_s())
            if turn is None or not is_held_by(turn, pulled.worker):
                return None
            if is_out_of_time(turn):
                stop(connection, turn, tell)
                continue
            if ends_as_before(connection, turn, tell):
                return None
            if turn.event is None:
                park(connection, turn, tell)
                return None
            answers = dict(known.answers) if known.version == turn.version else {}
            out = self._decided(connection, turn, answers)
            if isinstance(out, Asked):
                return out
            apply(connection, turn, out, self._tags, tell)
            left_to_do -= max(1, len(out.pushes) // PUSHES_AS_ONE)
        return More()

    def _decided(
        self, connection: Connection, turn: Turn, answers: dict[Question, Answer]
    ) -> Asked | Transition:
        assert turn.event is not None  # noqa: S101 the caller has looked
        while isinstance(out := decide(turn.run, turn.event, answers), Ask):
            answers |= self._asking.at_once(connection, out.questions)
            left = [one for one in out.questions if isinstance(one, Evaluate) and one not in answers]
            if left:
                return Asked(turn.version, tuple(left), answers)
        return out
