"""One scoreboard for the simulation and for chaos on real parts: the same keys, counted in the same way."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

Board = dict[str, Any]


class History(Protocol):
    """A run that is over. A violation is a sentence that begins with the invariant it breaks."""

    @property
    def seed(self) -> int: ...

    @property
    def jobs(self) -> int: ...

    @property
    def faults(self) -> Counter[str]: ...

    @property
    def violations(self) -> Sequence[str]: ...


def scoreboard(histories: Sequence[History], seconds: float) -> Board:
    violations = [(history.seed, what) for history in histories for what in history.violations]
    faults = sum((history.faults for history in histories), Counter())
    return {
        "histories": len(histories),
        "jobs": sum(history.jobs for history in histories),
        "faults": faults.total(),
        "lost": sum("has no result" in what for _, what in violations),
        "recorded_twice": sum("different results" in what for _, what in violations),
        "started_twice_at_most_once": sum(what.startswith("I2") for _, what in violations),
        "violations": len(violations),
        "failing_seeds": sorted({seed for seed, _ in violations}),
        "faults_by_kind": dict(sorted(faults.items())),
        "seconds": round(seconds, 2),
    }


def show(board: Board, *, ends_with_json: bool) -> None:
    """A line for each figure; then, when asked for, all of them once more as one JSON object."""
    for name, value in board.items():
        print(f"{name:27} {value}")  # noqa: T201 what a person started prints
    if ends_with_json:
        print(json.dumps(board), flush=True)  # noqa: T201 the last line is for machines
