"""A flow's job, what happens to it, and what is then to be done."""

from dataclasses import dataclass
from typing import Literal

from bridge.flows.definition import FlowValue
from bridge.flows.refs import Ref
from bridge.flows.scope import Question, Resumes
from bridge.flows.status import Status
from bridge.jobs.model import Delivery

FlowKind = Literal["flow", "flowpreview", "flownode", "singlestepflow"]
EndStatus = Literal["success", "failure", "skipped", "canceled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A flow's job as its rows say it, and the time of the decision in wall seconds."""

    job_id: str
    workspace: str
    value: FlowValue
    status: Status
    kind: FlowKind
    tag: str  # the job's own, interpolated
    now_s: float
    path: str | None = None
    priority: int | None = None
    parent_job: str | None = None
    root_job: str | None = None  # None: this is the outermost flow
    flow_innermost_root_job: str | None = None
    created_at_s: float = 0
    started_at_s: float = 0
    scheduled_for_s: float = 0

    def is_body(self) -> bool:
        """Whether it is part of the flow above it."""
        return self.kind == "flownode" or (self.kind == "flowpreview" and self.root_job is not None)


@dataclass(frozen=True, slots=True)
class Proceed:
    """The flow was pulled for the first time, or a transition said `again`. Harmless at any other time."""


@dataclass(frozen=True, slots=True)
class Due:
    """The time `wake_at_s` has come. Harmless when it has not."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A word came for this flow or its suspending step: `Resumes` will tell it. Harmless at any time."""


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """`forced`: the flow ends at once, whatever its children do."""

    by: str | None
    reason: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A child's job has ended; told once for each. The first five fields are those of its `Push`.

    `ok`: success or skipped; of a child that is a flow, what its `End.ok` said. `stopped` and `handled` are
    False but for a child that is a flow (`End`).
    """

    job_id: str
    module_id: str
    round: int
    position: int
    ok: bool
    skipped: bool = False
    stopped: bool = False
    handled: bool = False


Event = Proceed | Due | Resumed | CancelAsked | ChildEnded


@dataclass(frozen=True, slots=True)
class CodeOf:
    """Code in the flow: kind `preview`, or `flowscript` of a deployed flow."""

    content: str
    language: str
    lock: str | None = None
    concurrent_limit: int | None = None
    concurrency_time_window_s: int | None = None
    concurrency_key: str | None = None


@dataclass(frozen=True, slots=True)
class ScriptAt:
    """A deployed script: this version, else the newest with a lock. Kind `script`."""

    path: str
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class FlowAt:
    """A deployed flow, the newest version; its status begins as `first_status(value)`. Kind `flow`."""

    path: str


@dataclass(frozen=True, slots=True)
class Body:
    """Modules of this flow, as a flow: kind `flownode`, `flowpreview` in a preview.

    `value` is equal for all iterations of a loop. `failure_id` goes to `first_status`.
    """

    value: FlowValue
    failure_id: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Kind `identity`: it has ended when it is pushed."""


Source = CodeOf | ScriptAt | FlowAt | Body | Nothing


@dataclass(frozen=True, slots=True)
class Tags:
    """`fixed` as it stands; else `own`, interpolated with the job's arguments; else the script's or the
    sub-flow's own, likewise; else `otherwise` as it stands; else the language's, for flows `flow`.
    """

    fixed: str | None = None
    own: str | None = None
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job has ended that never waits for a worker."""

    success: bool
    result: Ref
    skipped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A child to be pushed; its `parent_job` is the flow. One that is `ended` is told of as any other.

    A push that the cluster refuses (no such script, a tag that may not be) is recorded as ended and failed,
    with the refusal as its error.
    """

    job_id: str
    module_id: str  # flow_step_id
    round: int
    position: int
    source: Source
    args: Ref
    tags: Tags
    root_job: str
    path: str | None = None
    flow_innermost_root_job: str | None = None
    entrypoint: str | None = None
    priority: int = 0
    timeout_s: int | None = None
    delivery: Delivery | None = None
    lost_after_s: int | None = None
    cache_ttl_s: int | None = None
    same_worker: bool = False
    scheduled_in_s: float = 0
    pre_run_error: str | None = None
    ended: Ended | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A loop's list, a JSON array, to be kept for `refs.Item` until the flow ends."""

    module_id: str
    round: int
    json: bytes
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """All children that have not ended, with what is below them, or those of one module's round.

    Not forced: they are asked, and each is told of when it ends. Forced: they end now, failed with `error`
    (JSON of the whole result), and are not told of.
    """

    by: str
    reason: str
    module_id: str | None = None
    round: int | None = None
    forced: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the flow's job ends. `ok`, `stopped` and `handled` are for the parent's `ChildEnded`."""

    status: EndStatus
    result: Ref
    ok: bool
    stopped: bool = False
    handled: bool = False
    canceled_by: str | None = None
    canceled_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """All of it in one transaction, in this order: cancels, items, pushes, status, then parked or ended."""

    status: Status
    cancels: tuple[Cancel, ...] = ()
    items: tuple[Items, ...] = ()
    pushes: tuple[Push, ...] = ()
    new_args: Ref | None = None  # they replace the flow's: an object, else it becomes {"value": it}
    used_resumes: Resumes | None = None  # words for the whole flow that belong to this step now
    again: bool = False  # there is more to do: decide with `Proceed` after this is written
    suspended: int = 0  # words that are waited for: the queue's `suspend`
    wake_at_s: float | None = None  # parked: `Due` then at the latest
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Nothing is decided: answer these too and ask again with all answers."""

    questions: tuple[Question, ...]
