"""Which names an expression sees, slot by slot, and what it comes to (openflow.md 1.3)."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from bridge.flows.definition import Inputs, Javascript, Static, Transform
from bridge.flows.draft import Broken, Draft
from bridge.flows.refs import ErrorIn, Literal, ObjectOf, Ref
from bridge.flows.scope import Evaluate, Failed, Found, Received, Resume, Resumes, Scope
from bridge.flows.status import NIL_JOB
from bridge.jobs.model import rfc3339

DYNAMIC: Final = re.compile(r"results\s*(\?\.)?\s*\[(?!\s*[\"'])")  # results[x], whatever x is
NULL: Final = Literal("null")
EMPTY_OBJECT: Final = Literal("{}")
OF_WORDS: Final = ("resume", "resumes", "approvers")

Names = Mapping[str, Ref]


class InputFailed(Exception):
    """A step's input could not be evaluated: the step fails, and its flow as that decides."""


def base(draft: Draft, flow_input: Ref | None = None) -> dict[str, Ref]:
    """What every expression of a flow sees."""
    env = {name: bytes(value).decode() for name, value in (draft.run.value.flow_env or {}).items()}
    shown = "{" + ",".join(f"{_text(name)}:{value}" for name, value in env.items()) + "}"
    return {"flow_input": flow_input or draft.args(), "flow_env": Literal(shown)}


def at_start(draft: Draft) -> dict[str, Ref]:
    """For `skip_expr`."""
    run = draft.run
    scheduled = rfc3339(run.scheduled_for_s or run.now_s)
    return base(draft) | {"WM_SCHEDULED_FOR": Literal(_text(scheduled))}


def before(draft: Draft, index: int) -> dict[str, Ref]:
    """For what is decided when a step is begun: inputs, branch, iterator, whether it is skipped."""
    return with_previous(draft, draft.previous(index), draft.args())


def with_previous(draft: Draft, previous: Ref, flow_input: Ref) -> dict[str, Ref]:
    """As `before`, where another result or other arguments are meant."""
    return base(draft, flow_input) | {
        "previous_result": previous,
        "error": ErrorIn(previous),
        "params": EMPTY_OBJECT,
        "resume": NULL,
        "resumes": Literal("[]"),
        "approvers": Literal("[]"),
    }


def after(draft: Draft, result: Ref) -> dict[str, Ref]:
    """For what is decided when a step has ended."""
    return base(draft) | {"result": result, "previous_result": result}


def predicate(draft: Draft, text: str, names: Names, index: int | None = None) -> bool:
    """Raises `Broken` when it cannot be evaluated."""
    question = Evaluate(text, scope(draft, text, names, index), as_boolean=True)
    return _found(draft, question) == b"true"


def value_of(draft: Draft, transform: Transform, names: Names, index: int | None = None) -> bytes:
    """JSON text. Raises `Broken`."""
    if isinstance(transform, Static):
        return bytes(transform.value)
    text = transform.expr
    return _found(draft, Evaluate(text, scope(draft, text, names, index)))


def number_of(
    draft: Draft, wanted: float | Transform, names: Names, index: int | None = None, *, name: str
) -> float | None:
    """None: it came to null. Raises `Broken` when it is anything else but a number of 0 or more."""
    if isinstance(wanted, int | float):
        return wanted
    found = msgspec.json.decode(value_of(draft, wanted, names, index))
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or found < 0:
        raise Broken(f"{name} must be a number of 0 or more, and came to {str(found)[:60]}")
    return found


def inputs(draft: Draft, transforms: Inputs, names: Names, index: int | None = None) -> ObjectOf:
    """The arguments of a step. Raises `InputFailed` with the first that fails."""
    asked = {
        name: Evaluate(one.expr, scope(draft, one.expr, names, index))
        for name, one in transforms.items()
        if isinstance(one, Javascript)
    }
    answers = dict(zip(asked, draft.ask(*asked.values()), strict=True))
    fields: list[tuple[str, Ref]] = []
    for name, transform in transforms.items():
        if isinstance(transform, Static):
            fields.append((name, Literal(bytes(transform.value).decode())))
            continue
        answer = answers[name]
        if not isinstance(answer, Found):
            raise InputFailed(_failure(transform.expr, answer))
        fields.append((name, Literal(answer.json.decode())))
    return ObjectOf(tuple(fields))


def scope(draft: Draft, text: str, names: Names, index: int | None = None) -> Scope:
    """Only what the text mentions is bound, so that nothing is read for nothing."""
    heard = _words(draft, index) if index and any(_mentions(text, name) for name in OF_WORDS) else {}
    bound = tuple((name, ref) for name, ref in {**names, **heard}.items() if _mentions(text, name))
    run = draft.run
    return Scope(
        flow_id=run.job_id,
        names=bound,
        results=_results(draft, text),
        previous_id=draft.state(index - 1).id if index else None,
        parent=run.parent_job,
    )


def heard(draft: Draft, job_id: str) -> tuple[Resume, ...]:
    (answer,) = draft.ask(Resumes(job_id, draft.run.job_id))
    if not isinstance(answer, Received):
        raise TypeError(answer)
    return answer.resumes


def _words(draft: Draft, index: int) -> dict[str, Ref]:
    """What people answered to the step before, if it waited for them."""
    state, before_it = draft.state(index), draft.state(index - 1)
    if not state.approved:
        return {}
    said = [one for one in heard(draft, before_it.job or NIL_JOB) if one.approved]
    payloads = [one.payload.decode() for one in said]
    if state.refusal is not None:
        payloads.append(state.refusal)
    return {
        "resume": Literal(payloads[-1]) if payloads else NULL,
        "resumes": Literal(f"[{','.join(payloads)}]"),
        "approvers": Literal(_text([one.approver or "anonymous" for one in said])),
    }


def _results(draft: Draft, text: str) -> tuple[tuple[str, Ref], ...]:
    if not _mentions(text, "results"):
        return ()
    every = DYNAMIC.search(text) is not None
    return tuple((name, ref) for name, ref in draft.results() if every or name in text)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w$]){name}(?![\w$])", text) is not None


def _found(draft: Draft, question: Evaluate) -> bytes:
    (answer,) = draft.ask(question)
    if not isinstance(answer, Found):
        raise Broken(_failure(question.text, answer))
    return answer.json


def _failure(text: str, answer: object) -> str:
    told = answer.message if isinstance(answer, Failed) else "it was not evaluated"
    return f"Error during isolated evaluation of expression `{text}`:\n{told}"


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def items_of(text: bytes) -> list[Raw] | None:
    """The items of a JSON array; None: it is something else."""
    if not text.lstrip().startswith(b"["):
        return None
    return msgspec.json.decode(text, type=list[Raw])
