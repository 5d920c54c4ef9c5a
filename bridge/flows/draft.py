"""A transition in the making: what is known, what was asked, what is to be done."""

import hashlib
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from msgspec import Raw

from bridge.flows.definition import FlowValue, Module, steps_of
from bridge.flows.model import Cancel, End, Items, Push, Run, Transition
from bridge.flows.refs import ArgsOf, Literal, Ref
from bridge.flows.scope import Answer, Question, Resumes
from bridge.flows.status import ModuleStatus, decoded, encoded, ended

RANDOM_BITS: Final = 80
UNKNOWN: Final = Literal('"{}"')  # what a previous result is that nobody knows (openflow.md 1.3)


class Missing(Exception):
    """A decision needs answers that were not handed in."""

    def __init__(self, questions: tuple[Question, ...]) -> None:
        super().__init__()
        self.questions = questions


class Broken(Exception):
    """The flow cannot go on, and neither a retry nor a failure module applies. The message says why."""


class Draft:
    """`status` is a copy that may be changed; all else grows until `transition` hands it over."""

    def __init__(self, run: Run, answers: Mapping[Question, Answer]) -> None:
        self.run = run
        self.status = decoded(encoded(run.status))
        self.steps = steps_of(run.value)
        self.pushes: list[Push] = []
        self.cancels: list[Cancel] = []
        self.items: list[Items] = []
        self.listed: list[Raw] = []  # the items of the loop that begins in this very decision
        self.bodies: dict[int, FlowValue] = {}  # by the identity of their modules: one value for many turns
        self.new_args: Ref | None = None
        self.used_resumes: Resumes | None = None
        self.again = False
        self.end: End | None = None
        self._answers = answers

    def ask(self, *questions: Question) -> list[Answer]:
        """The answers, in the same order. Raises `Missing`."""
        missing = tuple(one for one in questions if one not in self._answers)
        if missing:
            raise Missing(missing)
        return [self._answers[one] for one in questions]

    def args(self) -> Ref:
        return ArgsOf(self.run.job_id)

    def state(self, index: int) -> ModuleStatus:
        return self.status.modules[index]

    def previous(self, index: int) -> Ref:
        """What the step before this one gave; before the first, the arguments."""
        if index == 0:
            return self.args()
        return self.status.modules[index - 1].result or UNKNOWN

    def results(self) -> list[tuple[str, Ref]]:
        """The ended steps of this flow, by id."""
        states = [*self.status.modules, self.status.failure_module, self.status.preprocessor_module]
        return [
            (one.id, one.result)
            for one in states
            if one is not None and one.result is not None and ended(one)
        ]

    def child_id(self, module_id: str, round_: int, position: int) -> str:
        """A job id that sorts by its time; asked twice in one decision it is the same."""
        place = f"{self.run.job_id}\0{module_id}\0{round_}\0{position}".encode()
        bits = int.from_bytes(hashlib.sha256(place).digest()[: RANDOM_BITS // 8])
        return str(UUID(int=int(self.run.now_s * 1000) << RANDOM_BITS | bits))

    def module_running(self) -> ModuleStatus | None:
        """The step, handler or preprocessor that has children out."""
        status = self.status
        candidates = [status.failure_module, status.preprocessor_module]
        if 0 <= status.step < len(status.modules):
            candidates.append(status.modules[status.step])
        return next((one for one in candidates if one is not None and running(one)), None)

    def module_of(self, state: ModuleStatus) -> Module:
        """Its definition."""
        value = self.run.value
        for special, known in (
            (self.status.failure_module, value.failure_module),
            (self.status.preprocessor_module, value.preprocessor_module),
        ):
            if state is special and known is not None:
                return known
        return self.steps[self.status.step]

    def transition(self) -> Transition:
        waiting = self._waiting()
        return Transition(
            status=self.status,
            cancels=tuple(self.cancels),
            items=tuple(self.items),
            pushes=tuple(self.pushes),
            new_args=self.new_args,
            used_resumes=self.used_resumes,
            again=self.again,
            suspended=waiting.count if waiting is not None and waiting.type == "WaitingForEvents" else 0,
            wake_at_s=None if waiting is None else _alarm(waiting),
            end=self.end,
        )

    def _waiting(self) -> ModuleStatus | None:
        """The step that time may move: not of a flow that has ended, or waits for what is being cancelled."""
        index = self.status.step
        if self.end is not None or self.status.canceled is not None:
            return None
        return self.status.modules[index] if 0 <= index < len(self.status.modules) else None


def running(state: ModuleStatus) -> bool:
    return state.type in ("WaitingForExecutor", "InProgress")


def children_out(state: ModuleStatus) -> int:
    """How many of its children have not ended."""
    if not running(state):
        return 0
    return 1 if state.loop is None else state.loop.running()


def _alarm(state: ModuleStatus) -> float | None:
    if state.loop is not None and running(state):
        return state.loop.deadline_s
    return None if ended(state) else state.until_s
