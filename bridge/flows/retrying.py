"""A failed step is tried again, for as long as its author says (openflow.md 2.1)."""

from random import Random

from bridge.flows import names, pushing
from bridge.flows.branch_one import push_branch
from bridge.flows.definition import BranchOne, Flow, Module, RawScript, Script
from bridge.flows.draft import Draft
from bridge.flows.refs import ArgsOf, ErrorIn, Ref
from bridge.flows.status import ModuleStatus, Retrying
from bridge.jobs.retries import Retry, delay_s


def again(draft: Draft, index: int, result: Ref, job: str) -> bool:
    """Whether it is: then its next round is under way."""
    module, state = draft.steps[index], draft.state(index)
    gap_s = next_s(draft, module, result, draft.status.retry, job)
    if gap_s is None:
        return False
    begin_anew(draft.status.retry, state, job)
    if isinstance(module.value, RawScript | Script | Flow):
        seen = names.before(draft, index)
        state.job = pushing.push_again(draft, module, state, job, seen, gap_s)
        state.type = "WaitingForExecutor"
    elif isinstance(module.value, BranchOne):
        push_branch(draft, module, module.value, state, ArgsOf(job), gap_s)
    else:  # a loop or a branchall begins from its start, when it is time
        state.type, state.loop, state.job, state.starts_at = "WaitingForPriorSteps", None, None, 0
        state.until_s = draft.run.now_s + gap_s
    return True


def next_s(draft: Draft, module: Module, result: Ref, so_far: Retrying, job: str) -> float | None:
    """In how many seconds the next attempt is due; None: there is none."""
    policy = module.retry
    if policy is None or not policy.asks():
        return None
    draw = Random(job).uniform(-1, 1)  # noqa: S311 jitter is no secret, and this way a test can foretell it
    gap_s = delay_s(Retry(policy.constant, policy.exponential), so_far.fail_count, draw)
    if gap_s is None or policy.retry_if is None:
        return gap_s
    seen = names.after(draft, result) | {"error": ErrorIn(result)}
    return gap_s if names.predicate(draft, policy.retry_if.expr, seen) else None


def begin_anew(so_far: Retrying, state: ModuleStatus, failed_job: str) -> None:
    so_far.fail_count += 1
    so_far.failed_jobs.append(failed_job)
    state.failed_retries.append(failed_job)
    state.round += 1
