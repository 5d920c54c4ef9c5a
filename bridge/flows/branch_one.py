"""The first branch whose predicate holds."""

from bridge.flows import names, pushing
from bridge.flows.definition import BranchOne, Module
from bridge.flows.draft import Draft
from bridge.flows.refs import Ref
from bridge.flows.status import DEFAULT_BRANCH, ModuleStatus


def choose(draft: Draft, value: BranchOne, index: int) -> int:
    """Each predicate is asked only if those before it did not hold."""
    seen = names.before(draft, index)
    seen["result"] = seen["previous_result"]
    for number, branch in enumerate(value.branches):
        if names.predicate(draft, branch.expr, seen, index):
            return number
    return DEFAULT_BRANCH


def modules_of(value: BranchOne, branch: int | None) -> list[Module]:
    if branch is None or branch == DEFAULT_BRANCH:
        return value.default
    return value.branches[branch].modules


def push_branch(
    draft: Draft, module: Module, value: BranchOne, state: ModuleStatus, args: Ref, delay_s: float = 0
) -> None:
    """The branch that `state` names. Paths count from 1, and 0 is the default (openflow.md 3)."""
    number = 0 if state.branch is None else state.branch + 1
    what = pushing.body(draft, modules_of(value, state.branch), f"{module.id}-{number}")
    state.job = pushing.push_body(draft, module, state, what, args, f"branchone-{number}", delay_s=delay_s)
    state.type = "InProgress"
