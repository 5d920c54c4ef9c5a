"""A parallel loop over many items pushes them in portions (I6), each once and in order."""

from dataclasses import replace

from msgspec import Raw

from bridge.flows.definition import FlowValue, ForLoop, Module, Static
from bridge.flows.loops import AT_ONCE_MAX
from bridge.flows.machine import decide
from bridge.flows.model import Proceed, Run, Transition
from bridge.flows.refs import ArgsOf, Item, Literal, WithIter
from bridge.flows.status import first_status

FLOW = "00000000-0000-0000-0000-000000000001"
ITEMS = 2 * AT_ONCE_MAX + 3


def begun() -> Run:
    every = Raw(str(list(range(ITEMS))).encode())
    loop = Module(id="l", value=ForLoop(iterator=Static(every), modules=[], parallel=True))
    value = FlowValue(modules=[loop])
    return Run(
        job_id=FLOW,
        workspace="shops",
        value=value,
        status=first_status(value),
        kind="flow",
        tag="flow",
        now_s=1000.0,
    )


def proceeded(run: Run) -> Transition:
    out = decide(run, Proceed(), {})
    assert isinstance(out, Transition)
    return out


def test_every_item_has_its_turn() -> None:
    run, out = begun(), proceeded(begun())
    seen = [out]
    while out.again:
        run = replace(run, status=out.status)
        out = proceeded(run)
        seen.append(out)
    assert [len(one.pushes) for one in seen] == [AT_ONCE_MAX, AT_ONCE_MAX, 3]
    assert [push.position for one in seen for push in one.pushes] == list(range(ITEMS))
    assert [len(one.items) for one in seen] == [1, 0, 0]


def test_later_portions_are_given_their_items_from_the_list_that_was_kept() -> None:
    run, first = begun(), proceeded(begun())
    second = proceeded(replace(run, status=first.status))
    assert first.pushes[7].args == WithIter(ArgsOf(FLOW), 7, Literal("7"))
    assert second.pushes[0].args == WithIter(ArgsOf(FLOW), AT_ONCE_MAX, Item(FLOW, "l", 0, AT_ONCE_MAX))


def test_a_portion_is_encoded_once() -> None:
    bodies = {id(push.source.value) for push in proceeded(begun()).pushes}  # type: ignore[union-attr]  # each is a body
    assert len(bodies) == 1
