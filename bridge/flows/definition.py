"""What a flow is, as its author writes it (openflow.md 1 and 2). Unknown keys are ignored."""

from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.errors import BadRequest
from bridge.jobs.model import Delivery, LostAfter, Priority
from bridge.jobs.retries import Constant, Exponential

FAILURE: Final = "failure"
PREPROCESSOR: Final = "preprocessor"
SUSPENDED_S: Final = 1800.0  # how long an approval is waited for, unless the step says
NULL: Final = Raw(b"null")

Events = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Static(Struct, tag="static"):
    """A value as it stands."""

    value: Raw = NULL


class Javascript(Struct, tag="javascript"):
    """An expression, evaluated when the step is begun."""

    expr: str = ""


Transform = Static | Javascript
Inputs = dict[str, Transform]


class Predicate(Struct):
    expr: str


class StopAfterIf(Struct):
    expr: str
    skip_if_stopped: bool = False
    error_message: str | None = None
    error_include_result: bool = False


class StepRetry(Struct, omit_defaults=True):
    constant: Constant | None = None
    exponential: Exponential | None = None
    retry_if: Predicate | None = None

    def asks(self) -> bool:
        """Whether it asks for any further attempt."""
        return any(part is not None and part.attempts > 0 for part in (self.constant, self.exponential))


class Mock(Struct):
    enabled: bool = False
    return_value: Raw = NULL


class Suspend(Struct, omit_defaults=True):
    """The step after this one waits for so many people's word."""

    required_events: Events | None = None  # null: 1
    timeout: float | Transform | None = None  # seconds
    resume_form: Any = None
    user_auth_required: bool = False
    user_groups_required: Transform | None = None
    self_approval_disabled: bool = False
    hide_cancel: bool = False
    continue_on_disapprove_timeout: bool = False


class RawScript(Struct, tag="rawscript", omit_defaults=True):
    """Code in the flow itself. `delivery` and `lost_after` are ours (DESIGN 3)."""

    content: str
    language: str
    input_transforms: Inputs = {}
    lock: str | None = None
    path: str | None = None
    tag: str | None = None
    concurrent_limit: Count | None = None
    concurrency_time_window_s: Count | None = None
    custom_concurrency_key: str | None = None


class Script(Struct, tag="script", omit_defaults=True):
    """A deployed script: the newest version with a lock, or one version."""

    path: str
    hash: str | None = None
    tag_override: str | None = None
    input_transforms: Inputs = {}


class Flow(Struct, tag="flow", omit_defaults=True):
    """A deployed flow, its newest version."""

    path: str
    input_transforms: Inputs = {}


class Identity(Struct, tag="identity"):
    """Gives what came before."""


class ForLoop(Struct, tag="forloopflow", omit_defaults=True):
    """The modules, once for each item. `deadline_s` is ours: after so many seconds the rest is given up."""

    iterator: Transform
    modules: list["Module"]
    skip_failures: bool = False
    parallel: bool = False
    parallelism: int | Transform | None = None
    squash: bool = False
    deadline_s: float | None = None


class WhileLoop(Struct, tag="whileloopflow", omit_defaults=True):
    """The modules again and again, until a predicate stops it."""

    modules: list["Module"]
    skip_failures: bool = False
    squash: bool = False


class ChoiceBranch(Struct, omit_defaults=True):
    expr: str
    modules: list["Module"] = []
    summary: str | None = None


class BranchOne(Struct, tag="branchone", omit_defaults=True):
    """The first branch whose predicate holds, else the default."""

    branches: list[ChoiceBranch] = []
    default: list["Module"] = []


class Branch(Struct, omit_defaults=True):
    modules: list["Module"] = []
    skip_failure: bool = False
    summary: str | None = None


class BranchAll(Struct, tag="branchall"):
    """Every branch. `deadline_s` as of a for-loop."""

    branches: list[Branch] = []
    parallel: bool = True
    deadline_s: float | None = None


class AiAgent(Struct, tag="aiagent"):
    """Known, so that it can be refused by name."""


Plain = RawScript | Script
Value = RawScript | Script | Flow | Identity | ForLoop | WhileLoop | BranchOne | BranchAll | AiAgent
TYPES: Final = (
    "rawscript", "script", "flow", "identity", "forloopflow", "whileloopflow", "branchone", "branchall",
)  # fmt: skip


class Module(Struct, omit_defaults=True):
    """One step with its controls. `delivery` and `lost_after` are ours, for steps that are scripts."""

    id: str
    value: Value
    summary: str | None = None
    retry: StepRetry | None = None
    stop_after_if: StopAfterIf | None = None
    stop_after_all_iters_if: StopAfterIf | None = None
    skip_if: Predicate | None = None
    sleep: float | Transform | None = None  # seconds
    suspend: Suspend | None = None
    timeout: float | Transform | None = None  # seconds
    priority: Priority | None = None
    cache_ttl: Count | None = None
    continue_on_error: bool = False
    mock: Mock | None = None
    delivery: Delivery | None = None
    lost_after: LostAfter | None = None

    def mocked(self) -> bool:
        return self.mock is not None and self.mock.enabled


class FlowValue(Struct, omit_defaults=True):
    """The `value` of an OpenFlow."""

    modules: list[Module] = []
    failure_module: Module | None = None
    preprocessor_module: Module | None = None
    same_worker: bool = False
    preserve_step_tags: bool = False
    concurrent_limit: Count | None = None
    concurrency_key: str | None = None
    concurrency_time_window_s: Count | None = None
    skip_expr: str | None = None
    cache_ttl: Count | None = None
    early_return: str | None = None
    priority: Priority | None = None
    flow_env: dict[str, Raw] | None = None

    FORM: ClassVar[str] = "{modules: [{id, value: {type, ...}}], ...}"


def parsed(text: bytes) -> FlowValue:
    """A flow's value as it came. Raises `BadRequest`; `checking.checked` judges what it means."""
    try:
        return msgspec.json.decode(text, type=FlowValue)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        known = ", ".join(TYPES)
        raise BadRequest(
            f"the flow's value must be {FlowValue.FORM}, with modules of the types {known}: {error}"
        ) from error


def encoded(value: FlowValue) -> bytes:
    """The text that `parsed` reads as the same value."""
    return msgspec.json.encode(value)


def bodies(value: Value) -> list[list[Module]]:
    """The lists of modules inside one module; none for a plain step."""
    if isinstance(value, ForLoop | WhileLoop):
        return [value.modules]
    if isinstance(value, BranchOne):
        return [*(branch.modules for branch in value.branches), value.default]
    if isinstance(value, BranchAll):
        return [branch.modules for branch in value.branches]
    return []


def inputs_of(value: Value) -> Inputs:
    return value.input_transforms if isinstance(value, RawScript | Script | Flow) else {}


def steps_of(value: FlowValue) -> list[Module]:
    """The modules as they run: after a last one that sleeps or suspends stands an identity, `<id>-v`."""
    if not value.modules:
        return []
    last = value.modules[-1]
    if last.sleep is None and last.suspend is None:
        return value.modules
    return [*value.modules, Module(id=f"{last.id}-v", value=Identity())]
