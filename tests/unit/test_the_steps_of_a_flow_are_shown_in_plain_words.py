"""What the page of a flow says of each step, from rows alone."""

import json
from typing import Any

import pytest

from bridge.flows import status
from bridge.flows.definition import parsed
from bridge.flows.reading import Waiting
from bridge.flows.status import Approver, Loop, ModuleStatus, Status, first_status
from bridge.pages.flow_view import LINKED_MOST, Step, steps
from bridge.runs.steps import Away, Looked

CODE = {"type": "rawscript", "language": "bash", "content": "true"}
ITEMS = {"type": "static", "value": [1]}


def module(step_id: str, value: dict[str, Any] | None = None, **controls: Any) -> dict[str, Any]:
    return {"id": step_id, "value": value or CODE, **controls}


def looked(
    modules: list[dict[str, Any]],
    at: list[ModuleStatus],
    children: list[dict[str, Any]] | None = None,
    waiting: list[Waiting] | None = None,
    *,
    is_over: bool = False,
    **flow: Any,
) -> Looked:
    value = parsed(json.dumps({"modules": modules, **flow}).encode())
    return Looked(
        status=Status(modules=at),
        value=value,
        is_over=is_over,
        children=children or [],
        waiting=waiting or [],
        away={"till-gone": Away(5.0)},
    )


def child(step_id: str, position: int = 0, ended: str | None = "success", **more: Any) -> dict[str, Any]:
    usual = {
        "module_id": step_id, "round": 0, "position": position, "job_id": f"{step_id}-{position}",
        "tag": "bash",
        "status": ended, "skipped": 0, "duration_ms": 7 if ended else None, "started_at": 10.0,
        "completed_at": 10.5 if ended else None,
    }  # fmt: skip
    return usual | more


def waits(step_id: str, state: str = "waiting", position: int = 0, **more: Any) -> Waiting:
    usual = {
        "job_id": f"in-{position}", "module_id": step_id, "position": position, "step_id": "inner",
        "tag": "till-gone", "state": state, "since_s": 3.0, "worker": None, "canceled": False,
    }  # fmt: skip
    return Waiting(**usual | more)


def only(look: Looked) -> Step:
    (shown,) = steps(look)
    return shown


def at(kind: str, **more: Any) -> ModuleStatus:
    return ModuleStatus(id="a", type=kind, **more)  # type: ignore[arg-type]  # a test's own words


@pytest.mark.parametrize(
    ("stands", "waiting", "word"),
    [
        (at("WaitingForPriorSteps"), [], "not yet"),
        (at("WaitingForPriorSteps", until_s=9.0), [], "sleeps"),
        (at("WaitingForEvents", count=2, job="x"), [], "waits for people"),
        (at("WaitingForExecutor", job="x"), [], "begins"),
        (at("WaitingForExecutor", job="x"), [waits("a")], "waits"),
        (at("InProgress", job="x"), [waits("a"), waits("a", "running", 1)], "running"),
        (at("InProgress", job="x"), [waits("a", "suspended")], "waits for people"),
        (at("Success", job="x"), [], "success"),
        (at("Success", job="x", skipped=True), [], "skipped"),
        (at("Failure", job="x"), [], "failed"),
    ],
)
def test_how_a_step_stands(stands: ModuleStatus, waiting: list[Waiting], word: str) -> None:
    assert only(looked([module("a")], [stands], waiting=waiting)).state.word == word


def test_what_a_flow_that_is_over_did_not_reach_was_not_run() -> None:
    assert only(looked([module("a")], [at("WaitingForPriorSteps")], is_over=True)).state.word == "not run"


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (CODE, "bash code"),
        ({"type": "script", "path": "f/a/b"}, "script f/a/b"),
        ({"type": "flow", "path": "f/a/c"}, "flow f/a/c"),
        ({"type": "identity"}, "passes on what came before"),
        ({"type": "forloopflow", "iterator": ITEMS, "modules": []}, "for each item, one after another"),
        ({"type": "forloopflow", "iterator": ITEMS, "modules": [], "parallel": True},
         "for each item, side by side"),
        ({"type": "whileloopflow", "modules": []}, "again and again"),
        ({"type": "branchone"}, "one of its branches"),
        ({"type": "branchall"}, "all branches"),
    ],
)  # fmt: skip
def test_what_a_step_is(value: dict[str, Any], what: str) -> None:
    assert only(looked([module("a", value)], [at("WaitingForPriorSteps")])).what == what


def test_a_loop_counts_and_links_what_has_not_ended_well() -> None:
    many = LINKED_MOST + 10
    loop = Loop(kind="for", parallel=True, length=many, pushed=many)
    children = [child("a", number) for number in range(many - 3)]
    children += [child("a", many - 3, "failure"), child("a", many - 2, None), child("a", many - 1, None)]
    value = {"type": "forloopflow", "iterator": ITEMS, "modules": [], "parallel": True}
    waiting = [
        waits("a", "running", many - 2, worker="ag-till", tag="till-here"),
        waits("a", "waiting", many - 1),
    ]
    shown = only(looked([module("a", value)], [at("InProgress", job="x", loop=loop)], children, waiting))
    assert shown.tally == f"{many - 2} of {many} done, 1 failed, 1 run, 1 wait"
    assert [cell.job_id for cell in shown.cells][-4:] == [
        None, *(f"a-{number}" for number in range(many - 3, many))
    ]  # fmt: skip
    assert [(one.place, one.words, one.worker) for one in shown.held] == [
        (many - 1, "runs", "ag-till"), (many, "waits for its site", None),
    ]  # fmt: skip
    assert [one.away for one in shown.held] == [None, Away(5.0)]


def test_a_step_says_what_became_of_it() -> None:
    failed = at("Failure", job="x", failed_retries=["one", "two"], round=2)
    shown = only(looked([module("a", continue_on_error=True)], [failed], [child("a", 0, "failure", round=2)]))
    assert (shown.retries, shown.duration_ms, shown.job_id) == (["one", "two"], 7, "a-0")
    assert shown.remarks == ["the flow goes on all the same"]
    branch = {"type": "branchone", "branches": [{"expr": "x > 1", "modules": []}]}
    for number, said in ((0, "took branch 1: x > 1"), (-1, "took the default branch")):
        assert only(looked([module("a", branch)], [at("Success", job="x", branch=number)])).remarks == [said]
    mocked = module("a", mock={"enabled": True, "return_value": 1})
    approved = at("Success", job="x", approvers=[Approver(resume_id=1, approver="Ana")])
    assert only(looked([mocked], [approved])).remarks == ["mocked", "approved by Ana"]


def test_people_are_asked_what_the_step_before_says() -> None:
    form = {"schema": {"properties": {"note": {"type": "string"}}}}
    before = module("a", suspend={"resume_form": form, "hide_cancel": True})
    stands = [
        at("Success", job="x"),
        ModuleStatus(id="b", type="WaitingForEvents", count=2, job="x", until_s=9.0),
    ]
    asked = steps(looked([before, module("b")], stands))[1].approval
    assert asked is not None
    assert (asked.count, asked.until, asked.form, asked.may_deny) == (2, 9.0, form["schema"], False)


def test_a_preprocessor_comes_first_and_a_failure_module_last() -> None:
    look = looked(
        [module("a")], [at("Failure", job="x")],
        preprocessor_module=module("preprocessor"), failure_module=module("failure"),
    )  # fmt: skip
    begun = first_status(look.value, preprocess=True)
    look.status.preprocessor_module = begun.preprocessor_module
    look.status.failure_module = begun.failure_module
    assert [step.id for step in steps(look)] == ["preprocessor", "a"]
    assert look.status.failure_module is not None
    look.status.failure_module = ModuleStatus(id="failure", type="Success", job="y", parent_module="a")
    assert [step.id for step in steps(look)] == ["preprocessor", "a", "failure"]
    assert steps(look)[-1].remarks == ["for the failure of a"]
    assert status.ended(look.status.failure_module)
