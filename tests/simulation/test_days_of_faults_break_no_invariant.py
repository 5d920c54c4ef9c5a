"""I1 to I7 hold for the real agent and relay through simulated days of faults; and the checker can tell."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from dev_tools.places import ROOT
from tests.simulation.faults import KINDS

SEEDS: Final = 20
MIXED_SEEDS: Final = 5
# Histories of 40 jobs and 30 faults that once broke an invariant; the commit that mended each says how.
REGRESSIONS: Final = (4, 6, 7, 9, 11, 13, 17, 25, 29, 42, 98, 110, 111, 114, 198, 237, 240, 270)


def simulate(*options: str) -> dict[str, Any]:
    """The scoreboard. The hash seed is fixed, so that a set of texts has the same order in every run."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--json", *options],
        env=os.environ | {"PYTHONHASHSEED": "0"}, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    *said, last = ended.stdout.splitlines()
    board: dict[str, Any] = json.loads(last)
    return board | {"said": said}


def test_no_history_breaks_an_invariant() -> None:
    board = simulate("--seeds", str(SEEDS))
    assert board["violations"] == 0, board["said"]
    assert board["histories"] == SEEDS
    assert set(board["faults_by_kind"]) == set(KINDS)


def test_nor_where_agents_of_a_tag_run_different_languages() -> None:
    board = simulate("--seeds", str(MIXED_SEEDS), "--mixed")
    assert board["violations"] == 0, board["said"]


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_once_broke_holds(seed: int) -> None:
    board = simulate("--first", str(seed), "--seeds", "1", "--jobs", "40", "--faults", "30")
    assert board["violations"] == 0, board["said"]


def test_a_seed_replays_its_history_exactly() -> None:
    first, second = (simulate("--first", "7", "--seeds", "1") for _ in range(2))
    assert first["trace"] == second["trace"]
    assert first["trace"] != simulate("--first", "8", "--seeds", "1")["trace"]


@pytest.mark.parametrize(
    ("sabotage", "key"),
    [
        ("cluster_forgets", "lost"),
        ("disk_lies", "violations"),
        ("executor_repeats", "started_twice_at_most_once"),
        ("deadlines_lie", "violations"),
    ],
)
def test_a_broken_promise_is_seen(sabotage: str, key: str) -> None:
    assert simulate("--seeds", "5", "--sabotage", sabotage)[key] > 0
