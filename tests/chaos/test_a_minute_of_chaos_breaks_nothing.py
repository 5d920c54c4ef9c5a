"""I1, I2, I5 and I7 hold on real parts while everything fails that can: CI's share of `./dev chaos`."""

import json
import subprocess
import sys
from typing import Any, Final

from dev_tools.places import ROOT
from tests.chaos.plan import KINDS, plan

SEED: Final = 4
JOBS: Final = 500
END_S: Final = 400.0


def chaos(*options: str) -> dict[str, Any]:
    """The scoreboard of a run, with all that it said."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--json", *options],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=END_S,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    *said, last = ended.stdout.splitlines()
    board: dict[str, Any] = json.loads(last)
    return board | {"said": said, "exit_code": ended.returncode}


def test_every_job_is_recorded_once_and_its_log_too() -> None:
    board = chaos("--minutes", "0.4", "--seed", str(SEED), "--jobs", str(JOBS), "--faults", str(len(KINDS)))
    assert board["violations"] == 0, board["said"]
    assert board["exit_code"] == 0
    assert board["jobs"] == JOBS
    assert sum(board["ends"].values()) == JOBS
    assert set(board["faults_by_kind"]) == set(KINDS) - set(board["kinds_lacking"])


def test_a_seed_has_one_plan() -> None:
    assert plan(SEED, 50, 60.0) == plan(SEED, 50, 60.0)
    assert plan(SEED, 50, 60.0) != plan(SEED + 1, 50, 60.0)
