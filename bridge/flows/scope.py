"""What the machine must know before it can decide, and what it is told."""

from dataclasses import dataclass
from typing import Final

from bridge.flows.refs import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an expression may name. Only names whose word stands in the text are bound.

    `names`: variables and where their values are. `results`: the ended steps of this very flow, by id; a step
    that is not among them is looked for in the flow `parent`, then in its parent (`status.result_of`), else
    it is null. `previous_id`: the step before, for the short cut `results.<previous>`. `flow_id`: the flow
    whose user states `flow_user_state` reads.
    """

    flow_id: str
    names: tuple[tuple[str, Ref], ...] = ()
    results: tuple[tuple[str, Ref], ...] = ()
    previous_id: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """What does this expression come to? `as_boolean`: `Boolean(text)`, for predicates."""

    text: str
    scope: Scope
    as_boolean: bool = False


@dataclass(frozen=True, slots=True)
class Resumes:
    """Which words have come for a step that suspends (its job), or for the whole flow and not yet used?"""

    job_id: str
    flow_id: str


Question = Evaluate | Resumes


@dataclass(frozen=True, slots=True)
class Found:
    """The value, as JSON text."""

    json: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The expression failed; the message is for its author."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """One person's word. `payload` is JSON text."""

    resume_id: int
    approved: bool
    approver: str | None = None
    payload: bytes = b"null"


@dataclass(frozen=True, slots=True)
class Received:
    """The words that came, oldest first."""

    resumes: tuple[Resume, ...] = ()


Answer = Found | Failed | Received

TRUE: Final = Found(b"true")
FALSE: Final = Found(b"false")
