"""Restart from a step (openflow.md 4): what it refuses. What it does is in the vectors."""

import pytest

from bridge.errors import BadRequest
from bridge.flows.definition import FlowValue, ForLoop, Identity, Module, Static
from bridge.flows.refs import OfJob
from bridge.flows.restarting import CopyChildren, restarted
from bridge.flows.status import Loop, ModuleStatus, Status, early_result

A = Module(id="a", value=Identity())
L = Module(id="l", value=ForLoop(iterator=Static(), modules=[A]))
P = Module(id="l", value=ForLoop(iterator=Static(), modules=[A], parallel=True))
DONE = ModuleStatus(id="a", type="Success", job="j1", result=OfJob("j1"))


def test_a_step_that_is_not_there() -> None:
    with pytest.raises(BadRequest, match="no step 'z' at its top; it has a"):
        restarted(FlowValue(modules=[A]), Status(modules=[DONE]), "f", "z")


def test_a_step_before_it_that_failed() -> None:
    failed = ModuleStatus(id="a", type="Failure")
    with pytest.raises(BadRequest, match="has not succeeded"):
        restarted(FlowValue(modules=[A, L]), Status(modules=[failed, ModuleStatus(id="l")]), "f", "l")


def test_turns_that_never_ended_and_turns_of_what_has_none() -> None:
    looped = ModuleStatus(id="l", loop=Loop(kind="for", pushed=2, ended=1), round=1)
    with pytest.raises(BadRequest, match="only 1 turns"):
        restarted(FlowValue(modules=[L]), Status(modules=[looped]), "f", "l", 2)
    with pytest.raises(BadRequest, match="serial loops"):
        restarted(FlowValue(modules=[P]), Status(modules=[looped]), "f", "l", 1)
    with pytest.raises(BadRequest, match="serial loops"):
        restarted(FlowValue(modules=[A]), Status(modules=[DONE]), "f", "a", 1)
    found = restarted(FlowValue(modules=[L]), Status(modules=[looped]), "f", "l", 1)
    assert found.copies == (CopyChildren(module_id="l", old_round=1, below=1),)


def test_an_early_answer_is_there_once_its_step_has_ended() -> None:
    value = FlowValue(modules=[A], early_return="a")
    assert early_result(value, Status(modules=[ModuleStatus(id="a")])) is None
    assert early_result(value, Status(modules=[DONE])) == OfJob("j1")
    failed = ModuleStatus(id="a", type="Failure", result=OfJob("j2"))
    assert early_result(value, Status(modules=[failed])) == OfJob("j2")
    value.failure_module = Module(id="failure", value=Identity())
    assert early_result(value, Status(modules=[failed])) is None
    assert early_result(FlowValue(modules=[A]), Status(modules=[DONE])) is None
