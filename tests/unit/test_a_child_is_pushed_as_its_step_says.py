"""What a flow asks the store to push: roots, tags, times, and what never travels to a site."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import Raw

from bridge.flows.definition import (
    Flow,
    FlowValue,
    ForLoop,
    Identity,
    Javascript,
    Module,
    RawScript,
    Script,
    Static,
    StepRetry,
)
from bridge.flows.machine import decide
from bridge.flows.model import Ask, ChildEnded, Event, Proceed, Push, Run, Tags, Transition
from bridge.flows.refs import ArgsOf, Literal, ObjectOf
from bridge.flows.scope import Evaluate, Failed, Found
from bridge.flows.status import first_status
from bridge.jobs.retries import Constant

FLOW, ROOT, NEAREST = (f"00000000-0000-0000-0000-00000000000{one}" for one in "123")
CODE = RawScript(content="", language="python3")


def a_run(module: Module, *, tag: str = "flow", **more: Any) -> Run:
    value = FlowValue(modules=[module])
    return Run(
        job_id=FLOW,
        workspace="shops",
        value=value,
        status=first_status(value),
        kind="flow",
        tag=tag,
        now_s=1000.0,
        **more,
    )


def asked(run: Run, event: Event) -> Evaluate:
    out = decide(run, event, {})
    assert isinstance(out, Ask)
    (question,) = out.questions
    assert isinstance(question, Evaluate)
    return question


def decided(run: Run, event: Event, answer: Found | Failed | None = None) -> Transition:
    answers = {} if answer is None else {asked(run, event): answer}
    out = decide(run, event, answers)
    assert isinstance(out, Transition)
    return out


def pushed(run: Run, answer: Found | Failed | None = None) -> Push:
    (push,) = decided(run, Proceed(), answer).pushes
    return push


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        (CODE, FLOW),
        (Flow(path="f/x/y"), None),  # a root of its own
        (ForLoop(iterator=Static(Raw(b"[1]")), modules=[]), FLOW),
        (ForLoop(iterator=Static(Raw(b"[1]")), modules=[], parallel=True), None),
    ],
)
def test_the_roots_of_a_child(value: Any, nearest: str | None) -> None:
    outermost = pushed(a_run(Module(id="a", value=value)))
    assert (outermost.root_job, outermost.flow_innermost_root_job) == (FLOW, nearest)
    inner = a_run(Module(id="a", value=value), root_job=ROOT, flow_innermost_root_job=NEAREST)
    deeper = pushed(inner)
    assert (deeper.root_job, deeper.flow_innermost_root_job) == (ROOT, nearest and NEAREST)


def test_an_empty_tag_is_none() -> None:
    assert pushed(a_run(Module(id="a", value=replace_tag("")))).tags == Tags()
    kept = a_run(Module(id="a", value=replace_tag("")), tag="edge")
    kept.value.preserve_step_tags = True
    assert pushed(kept).tags == Tags(otherwise="edge")


def replace_tag(tag: str) -> RawScript:
    return RawScript(content="", language="python3", tag=tag)


def test_a_preprocessor_keeps_its_own_tag_in_a_flow_with_another() -> None:
    run = a_run(Module(id="a", value=CODE), tag="edge")
    run.value.preprocessor_module = Module(id="preprocessor", value=replace_tag("own"))
    push = pushed(replace(run, status=first_status(run.value, preprocess=True)))
    assert (push.tags, push.entrypoint, push.args) == (Tags(own="own"), "preprocessor", ArgsOf(FLOW))


def test_rules_of_custody_and_of_time_reach_the_job() -> None:
    script = Script(path="u/ada/x", hash="00000000000000aa")
    module = Module(id="a", value=script, delivery="at_most_once", lost_after=60, timeout=30, cache_ttl=9)
    push = pushed(a_run(module))
    assert (push.delivery, push.lost_after_s, push.timeout_s, push.cache_ttl_s) == ("at_most_once", 60, 30, 9)


def test_a_flow_of_one_worker_says_so_but_where_somebody_waits() -> None:
    together = a_run(Module(id="a", value=CODE))
    together.value.same_worker = True
    assert pushed(together).same_worker
    sleeping = a_run(Module(id="a", value=CODE, sleep=1))
    sleeping.value.same_worker = True
    assert not pushed(sleeping).same_worker


def test_an_input_that_fails_has_failed_when_it_is_pushed_and_each_time_again() -> None:
    inputs = {"x": Javascript("nothing.y")}
    module = Module(
        id="a",
        value=RawScript(content="", language="python3", input_transforms=inputs),
        retry=StepRetry(constant=Constant(attempts=1)),
    )
    run = a_run(module)
    first = decided(run, Proceed(), Failed("nothing is not defined"))
    (push,) = first.pushes
    assert push.pre_run_error is not None
    assert "nothing.y" in push.pre_run_error
    assert "nothing is not defined" in push.pre_run_error
    assert (push.args, push.ended is not None and push.ended.success) == (ObjectOf(), False)
    event = ChildEnded(job_id=push.job_id, module_id="a", round=0, position=0, ok=False)
    (again,) = decided(replace(run, status=first.status), event).pushes
    assert (again.round, again.pre_run_error, again.ended) == (1, push.pre_run_error, push.ended)


@pytest.mark.parametrize("came_to", [b"-1", b"true", b'"7"', b"[]"])
def test_a_timeout_that_is_no_number_of_seconds_fails_the_flow(came_to: bytes) -> None:
    run = a_run(Module(id="a", value=CODE, timeout=Javascript("flow_input.t")))
    out = decided(run, Proceed(), Found(came_to))
    assert out.end is not None
    assert "the timeout of step a must be a number" in str(out.end.result)


@pytest.mark.parametrize(("came_to", "timeout_s"), [(b"0", 0), (b"7.9", 7), (b"null", None)])
def test_a_timeout_that_is_computed(came_to: bytes, timeout_s: int | None) -> None:
    run = a_run(Module(id="a", value=CODE, timeout=Javascript("flow_input.t")))
    assert pushed(run, Found(came_to)).timeout_s == timeout_s


def test_an_expression_is_given_what_it_mentions_and_no_more() -> None:
    inputs = {"x": Javascript("results.i + flow_input.k")}
    step = RawScript(content="", language="python3", input_transforms=inputs)
    run = a_run(Module(id="i", value=Identity()), parent_job=ROOT)
    run.value.modules.append(Module(id="b", value=step))
    run = replace(run, status=first_status(run.value))
    begun = decided(run, Proceed())
    (identity,) = begun.pushes
    event = ChildEnded(job_id=identity.job_id, module_id="i", round=0, position=0, ok=True)
    scope = asked(replace(run, status=begun.status), event).scope
    assert dict(scope.names) == {"flow_input": ArgsOf(FLOW)}
    assert [step_id for step_id, _ in scope.results] == ["i"]
    assert (scope.flow_id, scope.previous_id, scope.parent) == (FLOW, "i", ROOT)


def test_the_arguments_of_a_step_stand_in_their_order() -> None:
    inputs = {"b": Static(Raw(b'"two"')), "a": Javascript("flow_input.a")}
    run = a_run(Module(id="a", value=RawScript(content="", language="python3", input_transforms=inputs)))
    fields = (("b", Literal('"two"')), ("a", Literal("1")))
    assert pushed(run, Found(b"1")).args == ObjectOf(fields)
