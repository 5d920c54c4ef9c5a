"""Loops and branchalls: many children, one list (openflow.md 1.2, 2.2, 5.2)."""

from typing import Final

from bridge.flows import after, bodies, names
from bridge.flows.definition import BranchAll, ForLoop, Module, WhileLoop
from bridge.flows.draft import Broken, Draft
from bridge.flows.ending import error_ref, stop
from bridge.flows.model import Cancel, ChildEnded, Items
from bridge.flows.refs import ListOf, Literal, OfJob, Ref
from bridge.flows.status import NIL_JOB, Loop, ModuleStatus

Many = ForLoop | WhileLoop | BranchAll
EMPTY: Final = Literal("[]")
AT_ONCE_MAX: Final = 500  # children of one transition, so that no list makes a long transaction (I6)


def start(draft: Draft, index: int, module: Module, value: Many) -> None:
    """With its first children; an empty one is over at once."""
    state = draft.state(index)
    state.loop = loop = _new(draft, index, module, value)
    state.type = "InProgress"
    if loop.length is not None and loop.pushed >= loop.length:
        _finish(draft, index, state.job or NIL_JOB)
        return
    if loop.parallel:
        state.job = draft.run.job_id
    _push_more(draft, module, state, loop)


def child_ended(draft: Draft, index: int, event: ChildEnded) -> None:
    """The next one, or the end of it."""
    module, state = draft.steps[index], draft.state(index)
    value, loop = _parts(module, state)
    forgiven = count(module, state, event)
    if loop.parallel:
        _push_more(draft, module, state, loop)
        if loop.ended == loop.length:
            _finish(draft, index, event.job_id)
    elif not event.ok and not forgiven:
        _finish(draft, index, event.job_id)
    elif event.stopped and isinstance(value, BranchAll):
        result = _list(draft, state, loop)
        after.settle(draft, index, result, job=event.job_id)
        stop(draft, result, skipped=event.skipped)
    elif not _stopped(draft, index, event):
        if loop.ended == loop.length or event.stopped:
            _finish(draft, index, event.job_id)
        else:
            _push_more(draft, module, state, loop)


def count(module: Module, state: ModuleStatus, event: ChildEnded) -> bool:
    """Whether a failure of this child is forgiven; it is counted in any case."""
    value, loop = _parts(module, state)
    loop.ended += 1
    if event.position in loop.open:
        loop.open.remove(event.position)
    forgiven = _forgives(value, event.position)
    if not event.ok and not forgiven:
        loop.failed += 1
        loop.handled = loop.handled or event.handled
    return forgiven


def fill(draft: Draft) -> None:
    """What the transition before could not hold."""
    state = draft.module_running()
    if state is not None and state.loop is not None and state.loop.parallel:
        _push_more(draft, draft.steps[draft.status.step], state, state.loop)


def cut_if_overdue(draft: Draft) -> None:
    """At its deadline a loop ends with what there is; the rest of its list says so."""
    state = draft.module_running()
    if state is None or state.loop is None or state.loop.deadline_s is None or draft.end is not None:
        return
    if state.loop.deadline_s > draft.run.now_s:
        return
    index, loop = draft.status.step, state.loop
    module = draft.steps[index]
    error = _late(module)
    if loop.running():
        told = "the loop's deadline has come"
        draft.cancels.append(
            Cancel(
                by="deadline",
                reason=told,
                module_id=state.id,
                round=state.round,
                forced=True,
                error=error.json,
            )
        )
    unfinished = (loop.length or 0) - loop.ended
    loop.failed += _unforgiven(module, loop, unfinished)
    _finish(draft, index, state.job or NIL_JOB, filler=error.json)


def _stopped(draft: Draft, index: int, event: ChildEnded) -> bool:
    """Whether the predicate of the module itself holds after this child; then it is seen to here."""
    module, state = draft.steps[index], draft.state(index)
    value, loop = _parts(module, state)
    rule, so_far = module.stop_after_if, _list(draft, state, loop)
    if rule is None or not event.ok or not after.holds(draft, rule, OfJob(event.job_id), so_far):
        return False
    breaks = not isinstance(value, BranchAll) and (rule.error_message is None or rule.skip_if_stopped)
    if breaks:
        _finish(draft, index, event.job_id)
    else:
        after.stop_flow(draft, index, rule, so_far, event.job_id)
    return True


def _finish(draft: Draft, index: int, last_job: str, filler: str | None = None) -> None:
    state = draft.state(index)
    _, loop = _parts(draft.steps[index], state)
    result = _list(draft, state, loop, filler)
    if loop.failed:
        after.failed(draft, index, result, job=last_job, handled=loop.handled)
    else:
        after.list_succeeded(draft, index, result, job=last_job)


def _list(draft: Draft, state: ModuleStatus, loop: Loop, filler: str | None = None) -> Ref:
    """The results so far, in order; with `filler`, of the whole length."""
    length = loop.ended if filler is None or loop.length is None else loop.length
    if length == 0:
        return EMPTY
    return ListOf(draft.run.job_id, state.id, state.round, length, filler or "null")


def _new(draft: Draft, index: int, module: Module, value: Many) -> Loop:
    state = draft.state(index)
    deadline_s = None if isinstance(value, WhileLoop) else value.deadline_s
    loop = Loop(
        kind="for"
        if isinstance(value, ForLoop)
        else "while"
        if isinstance(value, WhileLoop)
        else "branchall",
        parallel=not isinstance(value, WhileLoop) and value.parallel,
        pushed=state.starts_at,
        ended=state.starts_at,
        deadline_s=None if deadline_s is None else draft.run.now_s + deadline_s,
    )
    if isinstance(value, ForLoop):
        loop.parallelism = _parallelism(draft, index, module, value)
        loop.length = _keep_items(draft, index, module, value)
    elif isinstance(value, BranchAll):
        loop.length = len(value.branches)
        loop.open = list(range(state.starts_at, loop.length))
    return loop


def _keep_items(draft: Draft, index: int, module: Module, value: ForLoop) -> int:
    seen = names.before(draft, index)
    seen["result"] = seen["previous_result"]
    text = names.value_of(draft, value.iterator, seen, index)
    items = names.items_of(text)
    if items is None:
        shown = text[:60].decode(errors="replace")
        raise Broken(
            f"Expected an array value in the iterator expression of step {module.id}, and it came to {shown}"
        )
    draft.listed = items
    if items:
        round_ = draft.state(index).round
        draft.items.append(Items(module_id=module.id, round=round_, json=text, length=len(items)))
    return len(items)


def _parallelism(draft: Draft, index: int, module: Module, value: ForLoop) -> int | None:
    if not value.parallel or value.parallelism is None:
        return None
    seen = names.after(draft, draft.previous(index))
    found = names.number_of(draft, value.parallelism, seen, name=f"the parallelism of step {module.id}")
    return None if found is None else max(int(found), 1)


def _push_more(draft: Draft, module: Module, state: ModuleStatus, loop: Loop) -> None:
    """As many as may run at once; what one transaction should not hold follows in the next."""
    at_once = (loop.parallelism or loop.length or 1) if loop.parallel else 1
    while loop.running() < at_once and (loop.length is None or loop.pushed < loop.length):
        if len(draft.pushes) == AT_ONCE_MAX:
            draft.again = True
            return
        job_id = bodies.push_next(draft, module, state, loop.pushed)
        loop.pushed += 1
        if not loop.parallel:
            state.job = job_id


def _parts(module: Module, state: ModuleStatus) -> tuple[Many, Loop]:
    if state.loop is None or not isinstance(module.value, ForLoop | WhileLoop | BranchAll):
        raise TypeError(module.id)
    return module.value, state.loop


def _forgives(value: Many, position: int) -> bool:
    if isinstance(value, BranchAll):
        return value.branches[position].skip_failure
    return value.skip_failures


def _unforgiven(module: Module, loop: Loop, unfinished: int) -> int:
    if isinstance(module.value, BranchAll):
        return sum(not module.value.branches[position].skip_failure for position in loop.open)
    if isinstance(module.value, ForLoop) and not module.value.skip_failures:
        return unfinished
    return 0


def _late(module: Module) -> Literal:
    deadline_s = module.value.deadline_s if isinstance(module.value, ForLoop | BranchAll) else None
    told = f"not finished within the {deadline_s:g} s that step {module.id} was given"
    return error_ref("LoopDeadline", told)
