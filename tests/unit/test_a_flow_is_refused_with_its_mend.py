"""A flow that cannot be meant is refused when it comes, with the step and the mend in the message."""

from typing import Any

import msgspec
import pytest

from bridge.errors import BadRequest
from bridge.flows.checking import checked
from bridge.flows.definition import encoded, parsed

CODE = {"type": "rawscript", "content": "def main(): pass", "language": "python3"}
LOOP = {"type": "forloopflow", "iterator": {"type": "static", "value": []}, "modules": []}


def step(step_id: str = "a", value: Any = CODE, **controls: Any) -> dict[str, Any]:
    return {"id": step_id, "value": value, **controls}


def refusal(*modules: Any, **more: Any) -> str:
    with pytest.raises(BadRequest) as refused:
        checked(parsed(msgspec.json.encode({"modules": modules, **more})))
    return str(refused.value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"type": "aiagent", "tools": []}, "aiagent are not served"),
        ({"type": "robot"}, "'robot'"),
        ({"type": "rawscript", "language": "bash"}, "content"),
        ({"type": "script", "path": "ada/x"}, "u/, f/, g/ or hub/"),
        ({"type": "script", "path": "u/ada/x", "hash": "12"}, "16 hexadecimal digits"),
        ({"type": "flow", "path": "x"}, "u/, f/, g/ or hub/"),
        ({**CODE, "input_transforms": {"x": {"type": "ai"}}}, "'ai'"),
        ({**LOOP, "parallel": True, "parallelism": 0}, "parallelism must be 1 or more"),
        ({**LOOP, "deadline_s": 0}, "deadline_s must be above 0"),
        ({**LOOP, "modules": [step()]}, "there 2 times"),
        ({"type": "branchone", "branches": [], "default": [step()]}, "there 2 times"),
    ],
)
def test_of_a_step(value: Any, told: str) -> None:
    assert told in refusal(step(), step("b", value)) or told in refusal(step(), step("a", value))


@pytest.mark.parametrize(
    ("controls", "told"),
    [
        ({"id": "failure"}, "reserved"),
        ({"id": "preprocessor"}, "reserved"),
        ({"id": "a b"}, "letters, digits"),
        ({"id": ""}, "at least one"),
        ({"retry": {"exponential": {"attempts": 2, "seconds": 0}}}, "seconds above 0"),
        ({"retry": {"constant": {"attempts": 1}}, "delivery": "at_most_once"}, "not retried"),
        ({"sleep": -1}, "sleep must be 0 seconds or more"),
        ({"timeout": -1}, "timeout must be 0 seconds or more"),
        ({"value": LOOP, "lost_after": 60}, "set them on the steps inside"),
        ({"suspend": {"required_events": -1}}, "required_events"),
    ],
)
def test_of_its_controls(controls: Any, told: str) -> None:
    assert told in refusal({**step(), **controls})


def test_of_the_flow() -> None:
    assert "exclude each other" in refusal(step("a", {**LOOP, "parallel": True}), same_worker=True)
    assert "exclude each other" in refusal(step("a", {"type": "branchall", "branches": []}), same_worker=True)
    assert "there 2 times" in refusal(step("a", sleep=1), step("a-v"))
    assert "must be 'failure'" in refusal(failure_module=step("handler"))
    assert "not a loop or a branch" in refusal(failure_module=step("failure", LOOP))
    assert "aiagent" in refusal(preprocessor_module=step("preprocessor", {"type": "aiagent"}))


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"modules": 1}', b"[" * 100_000])
def test_what_is_no_flow_at_all(text: bytes) -> None:
    with pytest.raises(BadRequest, match="the flow's value must be"):
        parsed(text)


def test_what_nobody_knows_is_passed_over_and_the_rest_is_kept() -> None:
    flow = {"modules": [{**step(summary="first", timeout=5), "colour": "red"}], "notes": []}
    value = checked(parsed(msgspec.json.encode(flow)))
    assert value.modules[0].timeout == 5
    assert parsed(encoded(value)) == value
    assert b"colour" not in encoded(value)
