"""A step has ended, well or not: what that means for its flow (openflow.md 2.2, 2.3, 5)."""

from bridge.flows import ending, failing, names, retrying
from bridge.flows.definition import StopAfterIf
from bridge.flows.draft import Draft
from bridge.flows.refs import Ref
from bridge.flows.status import Retrying


def succeeded(draft: Draft, index: int, result: Ref, *, job: str) -> None:
    """The next step is next, unless a stop predicate holds."""
    if not _stops(draft, index, draft.steps[index].stop_after_if, result, job):
        settle(draft, index, result, job=job)


def list_succeeded(draft: Draft, index: int, result: Ref, *, job: str) -> None:
    """As `succeeded`, for a loop or a branchall: its predicate is the one for the whole list."""
    if not _stops(draft, index, draft.steps[index].stop_after_all_iters_if, result, job):
        settle(draft, index, result, job=job)


def settle(draft: Draft, index: int, result: Ref, *, job: str) -> None:
    state = draft.state(index)
    state.type, state.job, state.result = "Success", job, result
    draft.status.retry = Retrying()
    draft.status.step = index + 1


def failed(draft: Draft, index: int, result: Ref, *, job: str, handled: bool = False) -> None:
    """Tried again, or gone on after, or the end: in this order (openflow.md 5.3).

    `handled`: a failure module inside the step has run for this already.
    """
    module = draft.steps[index]
    if retrying.again(draft, index, result, job):
        return
    _settle_failed(draft, index, result, job)
    if not module.continue_on_error:
        failing.run_or_end(draft, module.id, result, handled=handled)
    elif index + 1 < len(draft.steps):
        draft.status.step = index + 1
    else:
        ending.fail(draft, result, handled=handled)


def failed_for_good(draft: Draft, index: int, result: Ref) -> None:
    """Neither tried again nor gone on after: only the failure module applies."""
    state = draft.state(index)
    _settle_failed(draft, index, result, state.job)
    failing.run_or_end(draft, state.id, result)


def _settle_failed(draft: Draft, index: int, result: Ref, job: str | None) -> None:
    state = draft.state(index)
    state.type, state.job, state.result = "Failure", job, result


def _stops(draft: Draft, index: int, rule: StopAfterIf | None, result: Ref, job: str) -> bool:
    """Whether the flow stops here, and then it does."""
    if rule is None or not holds(draft, rule, result):
        return False
    stop_flow(draft, index, rule, result, job)
    return True


def holds(draft: Draft, rule: StopAfterIf, result: Ref, all_iters: Ref | None = None) -> bool:
    seen = names.after(draft, result)
    if all_iters is not None:
        seen["all_iters"] = all_iters
    return names.predicate(draft, rule.expr, seen)


def stop_flow(draft: Draft, index: int, rule: StopAfterIf, result: Ref, job: str) -> None:
    if rule.error_message is not None and not rule.skip_if_stopped:
        draft.state(index).job = job
        failed_for_good(draft, index, ending.stopped_by_error(rule, result))
        return
    settle(draft, index, result, job=job)
    ending.stop(draft, result, skipped=rule.skip_if_stopped)
