"""A worker may tell a flow what it knows already, or what it no longer waits for."""

from dataclasses import replace

import pytest
from msgspec import Raw

from bridge.flows.definition import (
    FlowValue,
    ForLoop,
    Identity,
    Module,
    RawScript,
    Static,
    StepRetry,
    Suspend,
)
from bridge.flows.machine import decide
from bridge.flows.model import CancelAsked, ChildEnded, Due, Event, Proceed, Resumed, Run, Transition
from bridge.flows.refs import OfJob
from bridge.flows.scope import Received, Resumes
from bridge.flows.status import ModuleStatus, encoded, first_status
from bridge.jobs.retries import Constant

FLOW = "00000000-0000-0000-0000-000000000001"
CODE = RawScript(content="", language="python3")


def fresh(*modules: Module) -> Run:
    value = FlowValue(modules=list(modules))
    return Run(
        job_id=FLOW,
        workspace="shops",
        value=value,
        status=first_status(value),
        kind="flowpreview",
        tag="flow",
        now_s=1000.0,
    )


def decided(run: Run, event: Event) -> Transition:
    out = decide(run, event, {})
    assert isinstance(out, Transition)
    return out


def begun(*modules: Module) -> Run:
    run = fresh(*modules)
    return replace(run, status=decided(run, Proceed()).status)


def ended(run: Run, *, ok: bool = True, **other: object) -> ChildEnded:
    state = run.status.modules[run.status.step]
    facts = {"job_id": state.job or "", "module_id": state.id, "round": state.round, "position": 0}
    return ChildEnded(**(facts | other), ok=ok)  # type: ignore[arg-type]  # a test names what differs


@pytest.mark.parametrize("event", [Proceed(), Due(), Resumed()])
def test_a_flow_that_waits_for_its_child_goes_on_waiting(event: Event) -> None:
    run = begun(Module(id="a", value=CODE))
    out = decided(run, event)
    assert encoded(out.status) == encoded(run.status)
    assert (out.pushes, out.cancels, out.end, out.again) == ((), (), None, False)


@pytest.mark.parametrize("other", [{"job_id": "another"}, {"module_id": "b"}, {"round": 3}])
def test_another_child_than_the_one_that_is_waited_for(other: dict[str, object]) -> None:
    run = begun(Module(id="a", value=CODE), Module(id="b", value=CODE))
    assert encoded(decided(run, ended(run, **other)).status) == encoded(run.status)


def test_a_retried_job_that_ends_once_more() -> None:
    run = begun(Module(id="a", value=CODE, retry=StepRetry(constant=Constant(attempts=2, seconds=5))))
    failed = ended(run, ok=False)
    again = replace(run, status=decided(run, failed).status)
    assert encoded(decided(again, failed).status) == encoded(again.status)


def test_a_second_cancel_asks_the_children_no_second_time() -> None:
    run = begun(Module(id="a", value=CODE))
    first = decided(run, CancelAsked("ada", "enough"))
    assert len(first.cancels) == 1
    again = decided(replace(run, status=first.status), CancelAsked("ben", "really"))
    assert again.cancels == ()
    assert again.end is None
    assert again.status.canceled == first.status.canceled


def test_a_cancelled_flow_ends_after_the_last_of_its_children() -> None:
    looped = ForLoop(iterator=Static(Raw(b"[1, 2]")), modules=[], parallel=True)
    run = begun(Module(id="l", value=looped))
    run = replace(run, status=decided(run, CancelAsked("ada", "enough")).status)
    first = decided(run, ended(run, ok=False))
    assert first.end is None
    last = decided(replace(run, status=first.status), ended(run, ok=False, position=1))
    assert last.end is not None
    assert (last.end.status, last.end.ok, last.end.canceled_by) == ("canceled", False, "ada")


def test_the_job_of_a_loop_is_the_flow_if_parallel_else_its_turn() -> None:
    for parallel in (True, False):
        looped = ForLoop(iterator=Static(Raw(b"[1, 2]")), modules=[], parallel=parallel)
        run = fresh(Module(id="l", value=looped))
        out = decided(run, Proceed())
        assert out.status.modules[0].job == (FLOW if parallel else out.pushes[0].job_id)


def test_a_flow_that_waits_for_cancelled_children_is_not_woken_by_time() -> None:
    looped = ForLoop(iterator=Static(Raw(b"[1]")), modules=[], parallel=True, deadline_s=60)
    run = begun(Module(id="l", value=looped))
    out = decided(run, CancelAsked("ada", "enough"))
    assert (out.end, out.wake_at_s) == (None, None)
    late = decided(replace(run, status=out.status, now_s=2000.0), Due())
    assert (late.end, late.cancels, late.wake_at_s) == (None, (), None)


def test_time_that_has_not_come_wakes_nobody() -> None:
    waiting = Module(id="a", value=Identity(), suspend=Suspend(timeout=60))
    run = fresh(waiting, Module(id="b", value=CODE))
    run.status.modules[0] = ModuleStatus(id="a", type="Success", job="j1", result=OfJob("j1"))
    run.status.step = 1
    nobody = {Resumes("j1", FLOW): Received()}
    parked = decide(run, Proceed(), nobody)
    assert isinstance(parked, Transition)
    assert (parked.suspended, parked.wake_at_s) == (1, 1060.0)
    early = decide(replace(run, status=parked.status, now_s=1059.0), Due(), nobody)
    assert isinstance(early, Transition)
    assert (early.end, early.wake_at_s) == (None, 1060.0)


def test_the_ids_of_children_are_those_of_their_place_and_time() -> None:
    run = fresh(Module(id="a", value=CODE))
    (first,), (again,) = decided(run, Proceed()).pushes, decided(run, Proceed()).pushes
    (later,) = decided(replace(run, now_s=1001.0), Proceed()).pushes
    assert first.job_id == again.job_id
    assert first.job_id < later.job_id
