"""A step is begun: as a job, as a flow of its own, as many of them, or over at once."""

from bridge.flows import after, branch_one, loops, names, pushing
from bridge.flows.definition import (
    BranchAll,
    BranchOne,
    Flow,
    ForLoop,
    Identity,
    Module,
    RawScript,
    Script,
    WhileLoop,
)
from bridge.flows.draft import Broken, Draft
from bridge.flows.refs import Literal
from bridge.flows.status import NIL_JOB


def start(draft: Draft, index: int) -> None:
    module, state = draft.steps[index], draft.state(index)
    value = module.value
    if _skipped(draft, index, module):
        state.skipped = True
        _give(draft, index, skipped=True)
    elif module.mock is not None and module.mock.enabled:
        _give(draft, index, Literal(bytes(module.mock.return_value).decode()))
    elif isinstance(value, Identity):
        _give(draft, index)
    elif isinstance(value, RawScript | Script | Flow):
        state.job = pushing.push_plain(draft, module, state, names.before(draft, index), index)
        state.type = "WaitingForExecutor"
    elif isinstance(value, BranchOne):
        _branch(draft, index, module, value)
    elif isinstance(value, ForLoop | WhileLoop | BranchAll):
        loops.start(draft, index, module, value)
    else:
        raise Broken(f"step {module.id}: modules of the type aiagent are not served")


def preprocess(draft: Draft) -> None:
    """Its one input is the flow's arguments as they came."""
    module, state = draft.run.value.preprocessor_module, draft.status.preprocessor_module
    if module is None or state is None or state.type != "WaitingForPriorSteps":
        return
    state.job = pushing.push_preprocessor(draft, module, state)
    state.type = "WaitingForExecutor"


def _skipped(draft: Draft, index: int, module: Module) -> bool:
    if module.skip_if is None:
        return False
    seen = names.before(draft, index)
    seen["result"] = seen["previous_result"]
    return names.predicate(draft, module.skip_if.expr, seen, index)


def _give(draft: Draft, index: int, result: Literal | None = None, *, skipped: bool = False) -> None:
    """An identity that gives this, or what came before."""
    module, state = draft.steps[index], draft.state(index)
    given = result or draft.previous(index)
    state.job = pushing.push_ended(draft, module, state, given, skipped=skipped)
    state.type = "WaitingForExecutor"


def _branch(draft: Draft, index: int, module: Module, value: BranchOne) -> None:
    state = draft.state(index)
    state.branch = branch_one.choose(draft, value, index)
    if branch_one.modules_of(value, state.branch):
        branch_one.push_branch(draft, module, value, state, draft.args())
    else:
        after.succeeded(draft, index, draft.previous(index), job=NIL_JOB)


def is_branch(module: Module) -> bool:
    """Whether its child is a branch of this flow, so that a stop in there stops this flow too."""
    return isinstance(module.value, BranchOne)
