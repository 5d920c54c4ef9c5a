"""The state machine of flows: what an event means for a run (openflow.md 5). Pure: no clock, no chance."""

from collections.abc import Mapping

from bridge.flows import after, ending, failing, gates, loops, names, starting
from bridge.flows.draft import Broken, Draft, Missing, running
from bridge.flows.model import Ask, CancelAsked, ChildEnded, Event, Run, Transition
from bridge.flows.refs import Literal, OfJob
from bridge.flows.scope import Answer, Question
from bridge.flows.status import ModuleStatus

STOPPED_EARLY = Literal('"stopped early"')


def decide(run: Run, event: Event, answers: Mapping[Question, Answer]) -> Ask | Transition:
    """What is to be done, all of it in one transaction; or what must be answered before that is known.

    Asked again with more answers it decides the same, further on; answers that nobody asked for do no harm.
    """
    draft = Draft(run, answers)
    try:
        _take(draft, event)
        _go_on(draft)
    except Missing as missing:
        return Ask(missing.questions)
    except Broken as broken:
        ending.broken(draft, str(broken))
    return draft.transition()


def _take(draft: Draft, event: Event) -> None:
    if isinstance(event, CancelAsked):
        ending.cancel(draft, event)
    elif isinstance(event, ChildEnded):
        state = draft.module_running()
        if state is not None and _is_of(state, event):
            _child_ended(draft, state, event)


def _go_on(draft: Draft) -> None:
    """As far as it goes: to children that must end first, to something that is waited for, or to the end."""
    status = draft.status
    if status.canceled is not None:
        ending.when_canceled(draft, status.canceled)
        return
    loops.cut_if_overdue(draft)
    if draft.end is None:
        loops.fill(draft)
    if draft.end is None and not status.begun and status.step >= 0 and not draft.again:
        _begin(draft)
    while draft.end is None and not draft.again and draft.module_running() is None:
        index = status.step
        if index < 0:
            starting.preprocess(draft)
        elif index >= len(draft.steps):
            ending.finish(draft)
        elif gates.passed(draft, index):
            starting.start(draft, index)
        elif draft.status.step == index:
            return


def _begin(draft: Draft) -> None:
    draft.status.begun = True
    text = draft.run.value.skip_expr
    if text and names.predicate(draft, text, names.at_start(draft)):
        ending.skip(draft, STOPPED_EARLY)


def _is_of(state: ModuleStatus, event: ChildEnded) -> bool:
    """Whether this child is one that is waited for; others come late and change nothing."""
    if (event.module_id, event.round) != (state.id, state.round):
        return False
    return running(state) and (state.loop is not None or state.job == event.job_id)


def _child_ended(draft: Draft, state: ModuleStatus, event: ChildEnded) -> None:
    module, result, status = draft.module_of(state), OfJob(event.job_id), draft.status
    if status.canceled is not None:
        _count_only(draft, state, event)
    elif state is status.failure_module:
        failing.ended(draft, module, state, event)
    elif state is status.preprocessor_module:
        _preprocessed(draft, state, event)
    elif state.loop is not None:
        loops.child_ended(draft, status.step, event)
    elif not event.ok:
        after.failed(draft, status.step, result, job=event.job_id, handled=event.handled)
    elif event.stopped and starting.is_branch(module):
        after.settle(draft, status.step, result, job=event.job_id)
        ending.stop(draft, result, skipped=event.skipped)
    else:
        after.succeeded(draft, status.step, result, job=event.job_id)


def _count_only(draft: Draft, state: ModuleStatus, event: ChildEnded) -> None:
    """The flow is being cancelled: what ends now decides nothing any more."""
    if state.loop is not None:
        loops.count(draft.module_of(state), state, event)
        if state.loop.running():
            return
    state.type = "Success" if event.ok and state.loop is None else "Failure"
    state.result = OfJob(event.job_id)


def _preprocessed(draft: Draft, state: ModuleStatus, event: ChildEnded) -> None:
    """What it gave is what the flow is run with from here on."""
    result = OfJob(event.job_id)
    state.type, state.result = "Success" if event.ok else "Failure", result
    if not event.ok:
        failing.run_or_end(draft, state.id, result)
        return
    draft.new_args, draft.again = result, True
    draft.status.step = 0
