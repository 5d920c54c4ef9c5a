"""How far a flow is, as the machine keeps it (openflow.md 3).

The lists of children are not here: they live in the table `flow_child`, so that a long loop costs its last
step what it costs its first. `rendering.flow_status` puts both together for people.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from bridge.flows.definition import FAILURE, FlowValue, steps_of
from bridge.flows.refs import Ref

Type = Literal[
    "WaitingForPriorSteps", "WaitingForEvents", "WaitingForExecutor", "InProgress", "Success", "Failure"
]
NIL_JOB: Final = "00000000-0000-0000-0000-000000000000"
DEFAULT_BRANCH: Final = -1


class Loop(Struct, omit_defaults=True):
    """Where a loop or a branchall stands; counts are of children of this round."""

    kind: Literal["for", "while", "branchall"]
    parallel: bool = False
    length: int | None = None  # None: a while loop, which nobody knows
    pushed: int = 0
    ended: int = 0
    failed: int = 0  # ended without success, and no skip_failure forgives it
    parallelism: int | None = None  # at most so many at once
    deadline_s: float | None = None  # wall seconds
    handled: bool = False  # a failure module inside has run for a failure
    open: list[int] = []  # of a branchall: the branches that have not ended

    def running(self) -> int:
        return self.pushed - self.ended


class Approver(Struct):
    resume_id: int
    approver: str


class ModuleStatus(Struct, omit_defaults=True):
    """One step. `round` counts the times it was begun anew: its earlier jobs are the retried ones."""

    id: str
    type: Type = "WaitingForPriorSteps"
    job: str | None = None
    skipped: bool = False
    count: int = 0  # words still to come
    round: int = 0
    until_s: float | None = None  # it waits for words, or sleeps, until then; wall seconds
    approved: bool = False  # enough words came
    passed: bool = False  # nothing but `until_s` is to be waited for
    refusal: str | None = None  # JSON: the refusal or silence that its author chose to go on after
    branch: int | None = None  # of a branchone: which; DEFAULT_BRANCH: the default
    loop: Loop | None = None
    starts_at: int = 0  # restarted: the first position that is run again
    approvers: list[Approver] = []
    failed_retries: list[str] = []
    pre_run_error: str | None = None
    parent_module: str | None = None  # of the failure module: whose failure it runs for
    result: Ref | None = None  # once ended


class Retrying(Struct, omit_defaults=True):
    fail_count: int = 0
    failed_jobs: list[str] = []


class Canceled(Struct):
    by: str | None
    reason: str | None = None


class Conditions(Struct, omit_defaults=True):
    """Who may give the word that is waited for."""

    user_auth_required: bool = False
    user_groups_required: list[str] = []
    self_approval_disabled: bool = False


class RestartedFrom(Struct, omit_defaults=True):
    flow_job_id: str
    step_id: str
    branch_or_iteration_n: int | None = None


class Status(Struct, omit_defaults=True):
    """`step`: the module that runs; -1: the preprocessor; as many as there are: over, or the handler runs."""

    modules: list[ModuleStatus]
    step: int = 0
    failure_module: ModuleStatus | None = None
    preprocessor_module: ModuleStatus | None = None
    retry: Retrying = msgspec.field(default_factory=Retrying)
    failure_retry: Retrying = msgspec.field(default_factory=Retrying)
    canceled: Canceled | None = None
    approval_conditions: Conditions | None = None
    restarted_from: RestartedFrom | None = None
    begun: bool = False


def first_status(value: FlowValue, *, preprocess: bool = False, failure_id: str = FAILURE) -> Status:
    """Of a flow that has not begun. `preprocess`: its preprocessor, if it has one, is to run first."""
    before = value.preprocessor_module if preprocess else None
    return Status(
        modules=[ModuleStatus(id=module.id) for module in steps_of(value)],
        step=0 if before is None else -1,
        failure_module=None if value.failure_module is None else ModuleStatus(id=failure_id),
        preprocessor_module=None if before is None else ModuleStatus(id=before.id),
    )


def encoded(status: Status) -> bytes:
    return msgspec.json.encode(status)


def decoded(text: bytes | str) -> Status:
    return msgspec.json.decode(text, type=Status)


def ended(module: ModuleStatus) -> bool:
    return module.type in ("Success", "Failure")


def result_of(status: Status, module_id: str) -> Ref | None:
    """Where the result of an ended step of this very flow is; None: no such step, or not ended."""
    candidates = [*status.modules, status.failure_module, status.preprocessor_module]
    for module in candidates:
        if module is not None and module.id == module_id and ended(module):
            return module.result
    return None


def early_result(value: FlowValue, status: Status) -> Ref | None:
    """What a caller who waits is answered with: the result of the step `early_return`, once it has ended.

    None: the flow's own result is meant, or it is too early.
    """
    state = next((one for one in status.modules if one.id == value.early_return), None)
    if state is None or not ended(state):
        return None
    if state.type == "Failure" and value.failure_module is not None:
        return None
    return state.result
