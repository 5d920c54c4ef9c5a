"""What this process has counted of its own work since it began: for `/metrics` of the status server alone.

Nothing is decided by it, and none of it outlives the process.
"""

import time
from dataclasses import dataclass, field
from typing import Final

COMMIT_BOUNDS_S: Final = (0.005, 0.02, 0.1, 0.5, 2.0)  # a good disk, a card, a bad one


@dataclass(slots=True)
class Commits:
    """How long the disk took for what it confirmed."""

    within: list[int] = field(default_factory=lambda: [0] * len(COMMIT_BOUNDS_S))  # each bound, and below
    count: int = 0
    total_s: float = 0.0

    def note(self, took_s: float) -> None:
        self.count += 1
        self.total_s += took_s
        for place, bound_s in enumerate(COMMIT_BOUNDS_S):
            self.within[place] += took_s <= bound_s


@dataclass(slots=True)
class Figures:
    began_at: float = field(default_factory=time.time)  # wall seconds
    succeeded: int = 0
    failed: int = 0
    links: int = 0  # how often the link came up
    log_dropped: int = 0  # characters of jobs' log text that found no room
    commits: Commits = field(default_factory=Commits)

    def note_ended(self, *, succeeded: bool) -> None:
        if succeeded:
            self.succeeded += 1
        else:
            self.failed += 1


FIGURES: Final = Figures()
