"""How a flow ends."""

import msgspec

from bridge.flows.definition import StopAfterIf
from bridge.flows.draft import Draft, children_out
from bridge.flows.model import Cancel, CancelAsked, End
from bridge.flows.refs import Literal, ObjectOf, Ref
from bridge.flows.status import NIL_JOB, Canceled


def error_ref(name: str, message: str, **more: object) -> Literal:
    """A result that is an error."""
    return Literal(msgspec.json.encode({"error": {"message": message, "name": name, **more}}).decode())


def finish(draft: Draft) -> None:
    """Every step is over: the flow gives what the last one gave."""
    draft.end = End(status="success", result=draft.previous(len(draft.steps)), ok=True)


def fail(draft: Draft, result: Ref, *, handled: bool = False) -> None:
    draft.end = End(status="failure", result=result, ok=False, handled=handled)


def stop(draft: Draft, result: Ref, *, skipped: bool) -> None:
    """A stop predicate held: this is the flow's result."""
    draft.end = End(status="skipped" if skipped else "success", result=result, ok=True, stopped=True)


def skip(draft: Draft, result: Ref) -> None:
    """It did not even begin."""
    draft.end = End(status="skipped", result=result, ok=True)


def stopped_by_error(rule: StopAfterIf, result: Ref) -> Ref:
    """The error of a stop that its author calls one."""
    message = rule.error_message or f"stop after if: {rule.expr}"
    if not rule.error_include_result:
        return error_ref("EarlyStopError", message)
    fields: tuple[tuple[str, Ref], ...] = (
        ("name", Literal('"EarlyStopError"')),
        ("message", Literal(msgspec.json.encode(message).decode())),
        ("result", result),
    )
    return ObjectOf((("error", ObjectOf(fields)),))


def broken(draft: Draft, message: str) -> None:
    """The flow itself fails, at the step it is at; neither retry nor failure module applies."""
    result = error_ref("InternalError", message)
    if 0 <= draft.status.step < len(draft.steps):
        state = draft.state(draft.status.step)
        state.type, state.job, state.result = "Failure", state.job or NIL_JOB, result
    fail(draft, result)


def cancel(draft: Draft, asked: CancelAsked) -> None:
    """The children first; `when_canceled` ends the flow after the last of them."""
    by, status = asked.by or "", draft.status
    if asked.forced:
        status.canceled = status.canceled or Canceled(asked.by, asked.reason)
        told = _told(status.canceled)
        draft.cancels.append(Cancel(by=by, reason=asked.reason or "", forced=True, error=told.json))
        _end_canceled(draft, status.canceled)
    elif status.canceled is None:
        status.canceled = Canceled(asked.by, asked.reason)
        draft.cancels.append(Cancel(by=by, reason=asked.reason or ""))


def when_canceled(draft: Draft, canceled: Canceled) -> None:
    state = draft.module_running()
    if draft.end is None and (state is None or children_out(state) == 0):
        _end_canceled(draft, canceled)


def _end_canceled(draft: Draft, canceled: Canceled) -> None:
    draft.end = End(
        status="canceled",
        result=_told(canceled),
        ok=False,
        canceled_by=canceled.by,
        canceled_reason=canceled.reason,
    )


def _told(canceled: Canceled) -> Literal:
    message = f"Job canceled: {canceled.reason or ''} by {canceled.by}"
    return error_ref("Canceled", message, reason=canceled.reason, canceler=canceled.by)
