"""A count that finds nothing proves nothing unless it would have found it: I1, I2, I5, I7 broken on paper."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.chaos.checker import Evidence, check
from tests.chaos.desk import Sight
from tests.chaos.journal import Start
from tests.chaos.work import LARGE_CHARS, Order, Shape

RAN: Final = Start(site="north", attempt=1, pid=7, at_s=100.0)
AGAIN: Final = Start(site="east", attempt=1, pid=8, at_s=130.0)
LOG: Final = "job=a tag=north\nL7:0;\nL7:1;\nL7:2;\n"
RECORD: Final = {"success": True, "result": "a 1 7", "logs": LOG, "canceled": False}
ROW: Final = {
    "attempt": 1,
    "state": "closed",
    "custodian": "ag-north-x",
    "outcome": "success",
    "closed_at": 110.0,
}
SOUND: Final = Evidence(
    order=Order(job_id="a", shape=Shape("bash", 1, lines=3), tag="north", delivery="at_least_once"),
    starts=[RAN],
    first=Sight((True,), json.dumps("a 1 7")),
    record=RECORD,
    custody=[ROW],
)
ONCE: Final = replace(SOUND, order=replace(SOUND.order, delivery="at_most_once"))
LARGE: Final = replace(SOUND, order=replace(SOUND.order, shape=Shape("bash", 1, lines=3, tail=LARGE_CHARS)))


def recorded(**about: Any) -> Evidence:
    return replace(SOUND, record={**RECORD, **about}, first=None)


def canceled(custody: list[Mapping[str, Any]]) -> Evidence:
    record = {"success": False, "result": {"error": {"name": "Canceled"}}, "logs": "", "canceled": True}
    return replace(SOUND, record=record, first=None, custody=custody, starts=[AGAIN])


def test_a_sound_job_is_found_sound() -> None:
    assert check(SOUND) == []
    assert check(replace(SOUND, starts=[RAN, AGAIN])) == []  # at_least_once may run twice
    assert check(recorded(logs="[... 12 characters dropped: log limit ...]\nL7:1;\nL7:2;\n")) == []
    assert check(recorded(success=False, result={"error": {"name": "Poison"}}, logs="L7:0;\n")) == []
    assert check(canceled([{**ROW, "outcome": "canceled", "closed_at": 131.0}])) == []


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (replace(SOUND, record=None), "I1: a has no result"),
        (replace(SOUND, changed=True), "I1: different results of a"),
        (replace(SOUND, first=Sight((True,), json.dumps("a 1 8"))), "I1: different results of a"),
        (recorded(result="a 2 7"), "I1: the result of a was made by no run"),
        (replace(LARGE, first=None), "I1: the result of a is cut"),
        (recorded(success=False, result={"error": {"name": "Odd"}}), "I1: a failed, and no fault explains"),
        (replace(ONCE, starts=[RAN, AGAIN]), "I2: a was started 2 times"),
        (recorded(logs=LOG + "L7:2;\n"), "I5: the log of a repeats or reorders"),
        (recorded(logs="L7:1;\nL7:0;\nL7:2;\n"), "I5: the log of a repeats or reorders"),
        (recorded(logs="L7:0;\nL7:2;\n"), "I5: the log of a lacks lines"),
        (canceled([{**ROW, "outcome": "canceled"}]), "I7: a was started 20.00 s after its custodian"),
        (canceled([]), "I7: a was cancelled before anybody took it"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(job: Evidence, says: str) -> None:
    assert any(sentence.startswith(says) for sentence in check(job)), check(job)
