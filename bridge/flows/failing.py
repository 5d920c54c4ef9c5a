"""The failure module: once, for the failure that would end the flow (openflow.md 2.3)."""

import msgspec

from bridge.flows import ending, names, pushing, retrying
from bridge.flows.definition import Flow, Identity, Module, RawScript, Script
from bridge.flows.draft import Broken, Draft
from bridge.flows.model import ChildEnded, End
from bridge.flows.names import Names
from bridge.flows.refs import Literal, OfJob, Ref
from bridge.flows.status import ModuleStatus
from bridge.jobs.model import rfc3339


def run_or_end(draft: Draft, failed_id: str, result: Ref, *, handled: bool = False) -> None:
    """`handled`: one inside the failed step has run for this failure already, so this one does not."""
    module, state = draft.run.value.failure_module, draft.status.failure_module
    if module is None or state is None or handled:
        ending.fail(draft, result, handled=handled)
        return
    draft.status.step = len(draft.steps)
    state.parent_module, state.type = failed_id, "WaitingForExecutor"
    state.job = _push(draft, module, state, result)


def ended(draft: Draft, module: Module, state: ModuleStatus, event: ChildEnded) -> None:
    """Its result is the flow's. `recover: true` in it makes the flow a success."""
    result = OfJob(event.job_id)
    if not event.ok:
        delay_s = retrying.next_s(draft, module, result, draft.status.failure_retry, event.job_id)
        if delay_s is not None:
            retrying.begin_anew(draft.status.failure_retry, state, event.job_id)
            seen = names.after(draft, result)
            state.job = pushing.push_again(draft, module, state, event.job_id, seen, delay_s)
            return
    recovered = event.ok and _recovers(draft, result)
    state.type, state.result = "Success" if event.ok else "Failure", result
    draft.end = End(
        status="success" if recovered else "failure",
        result=result,
        ok=recovered and not draft.run.is_body(),  # to the flow above, a body that failed has failed
        handled=True,
    )


def _push(draft: Draft, module: Module, state: ModuleStatus, result: Ref) -> str:
    if module.mocked() and module.mock is not None:
        mocked = Literal(bytes(module.mock.return_value).decode())
        return pushing.push_ended(draft, module, state, mocked)
    if isinstance(module.value, Identity):
        return pushing.push_ended(draft, module, state, result)
    if isinstance(module.value, RawScript | Script | Flow):
        return pushing.push_plain(draft, module, state, _names(draft, result), None)
    raise Broken("the failure module must be a script or a flow")


def _names(draft: Draft, result: Ref) -> Names:
    run = draft.run
    started = rfc3339(run.started_at_s or run.now_s)
    return names.with_previous(draft, result, draft.args()) | {
        "started_at": Literal(msgspec.json.encode(started).decode()),
        "flow_job_id": Literal(msgspec.json.encode(run.job_id).decode()),
    }


def _recovers(draft: Draft, result: Ref) -> bool:
    return names.predicate(draft, "result?.recover === true", names.after(draft, result))
