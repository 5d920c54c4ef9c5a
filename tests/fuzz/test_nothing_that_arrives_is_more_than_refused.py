"""Thousands of wrong messages and requests: no crash, no hang, no leak; and each of them would show."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from dev_tools.places import ROOT

COUNT: Final = 3000
ENDS_S: Final = 300.0  # a loop outside Python cannot be interrupted


def fuzz(*options: str) -> dict[str, Any]:
    """The scoreboard."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--json", *options],
        env=os.environ | {"PYTHONHASHSEED": "0"}, cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=ENDS_S,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    *said, last = ended.stdout.splitlines()
    board: dict[str, Any] = json.loads(last)
    return board | {"said": said}


def test_nothing_is_worse_than_refused() -> None:
    board = fuzz("--count", str(COUNT))
    assert board["violations"] == 0, board["said"]
    assert board["cases"] > COUNT * 0.95  # some requests would wait for a job, and are not sent
    outcomes = board["outcomes"]
    assert {"read", "Malformed", "WrongVersion"} <= set(outcomes["wire"])
    assert {"readable still", "message.refused Malformed", "job.refused BadSignature"} <= set(
        outcomes["custody"]
    )
    assert {"200", "201", "400", "401", "404"} <= set(outcomes["requests"])


@pytest.mark.parametrize(
    ("sabotage", "target", "count", "seen"),
    [
        ("deep_is_told_whole", "custody", 900, "crash"),
        ("types_unchecked", "custody", 400, "crash"),
        ("bodies_unread", "requests", 300, "crash"),
        ("obeys_nothing", "custody", 40, "hang"),
        ("never_ends", "wire", 50, "slow"),
        ("forgets_nothing", "wire", 500, "leak"),
    ],
)
def test_what_is_worse_is_seen(sabotage: str, target: str, count: int, seen: str) -> None:
    board = fuzz("--sabotage", sabotage, "--target", target, "--count", str(count))
    assert board["violations_by_kind"][seen] > 0, board["said"]
