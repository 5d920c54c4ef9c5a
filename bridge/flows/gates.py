"""What a step waits for before it begins: people's words, and sleep (openflow.md 2.4, 2.5)."""

from typing import Final

import msgspec

from bridge.flows import after, names
from bridge.flows.definition import SUSPENDED_S, Module, Suspend
from bridge.flows.draft import Broken, Draft
from bridge.flows.ending import error_ref
from bridge.flows.refs import Literal
from bridge.flows.scope import Resume, Resumes
from bridge.flows.status import NIL_JOB, Approver, Conditions, ModuleStatus

UNNAMED: Final = "unknown"


def passed(draft: Draft, index: int) -> bool:
    """False: the step waits, or it has failed for want of a word."""
    state = draft.state(index)
    if not state.passed:
        if not _approved(draft, index):
            return False
        state.passed = True
        pause_s = _sleep_s(draft, index)
        state.until_s = draft.run.now_s + pause_s if pause_s else None
    if state.until_s is not None and state.until_s > draft.run.now_s:
        return False
    state.until_s = None
    return True


def _sleep_s(draft: Draft, index: int) -> float | None:
    module, state = _before(draft, index)
    if module is None or module.sleep is None or state.skipped:
        return None
    seen = names.after(draft, draft.previous(index))
    return names.number_of(draft, module.sleep, seen, name=f"the sleep of step {module.id}")


def _approved(draft: Draft, index: int) -> bool:
    module, before = _before(draft, index)
    state = draft.state(index)
    if module is None or module.suspend is None or before.type != "Success" or before.skipped:
        return True
    rule, step_job = module.suspend, before.job or NIL_JOB
    need = 1 if rule.required_events is None else rule.required_events
    said = names.heard(draft, step_job)
    refused = next((at for at, word in enumerate(said) if not word.approved), len(said))
    if refused >= need:
        _approve(state, before, said[:refused])
    elif refused < len(said):
        told = f"Disapproved by {said[refused].approver or UNNAMED}"
        _refuse(draft, index, rule, error_ref("SuspendedDisapproved", told))
    elif _timed_out(draft, index, rule, module):
        told = "Timed out waiting to be resumed"
        _refuse(draft, index, rule, error_ref("SuspendedTimedOut", told))
    else:
        state.type, state.job, state.count = "WaitingForEvents", step_job, need - len(said)
    if state.approved:
        draft.used_resumes = Resumes(step_job, draft.run.job_id)
        draft.status.approval_conditions = None
    return state.approved


def _before(draft: Draft, index: int) -> tuple[Module | None, ModuleStatus]:
    """The step before this one and its state; None: this is the first."""
    if index == 0:
        return None, draft.state(index)
    return draft.steps[index - 1], draft.state(index - 1)


def _timed_out(draft: Draft, index: int, rule: Suspend, module: Module) -> bool:
    state, now_s = draft.state(index), draft.run.now_s
    if state.until_s is None:
        seen = names.after(draft, draft.previous(index))
        wanted = SUSPENDED_S if rule.timeout is None else rule.timeout
        found = names.number_of(draft, wanted, seen, name=f"the suspend timeout of step {module.id}")
        state.until_s = now_s + (SUSPENDED_S if found is None else found)
        draft.status.approval_conditions = _conditions(draft, index, rule)
    return state.until_s <= now_s


def _conditions(draft: Draft, index: int, rule: Suspend) -> Conditions | None:
    groups: list[str] = []
    if rule.user_groups_required is not None:
        seen = names.after(draft, draft.previous(index))
        text = names.value_of(draft, rule.user_groups_required, seen)
        try:
            groups = msgspec.json.decode(text, type=list[str] | None) or []
        except msgspec.ValidationError as error:
            raise Broken(f"user_groups_required must be a list of names: {error}") from error
    asked = Conditions(rule.user_auth_required, groups, rule.self_approval_disabled)
    return asked if asked != Conditions() else None


def _approve(state: ModuleStatus, before: ModuleStatus, said: tuple[Resume, ...]) -> None:
    before.approvers = [Approver(one.resume_id, one.approver or UNNAMED) for one in said]
    _go_on(state)


def _refuse(draft: Draft, index: int, rule: Suspend, error: Literal) -> None:
    """The step that waited fails, unless its author wants to go on with the refusal in hand."""
    state = draft.state(index)
    if rule.continue_on_disapprove_timeout:
        state.refusal = error.json
        _go_on(state)
        return
    state.count, state.until_s, state.job = 0, None, NIL_JOB
    draft.status.approval_conditions = None
    after.failed_for_good(draft, index, error)


def _go_on(state: ModuleStatus) -> None:
    state.type, state.approved, state.job = "WaitingForPriorSteps", True, None
    state.count, state.until_s = 0, None
