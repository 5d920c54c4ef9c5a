"""What is measured: the same no-op on every side, in the same surroundings, and how much of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

SLOTS: Final = 2  # jobs at once, on every side


class Work(StrEnum):
    """The no-op. The first two start a real process per job on every side."""

    BASH = "bash"
    PYTHON3 = "python3"
    IN_PROCESS = "in process"  # Celery only: a function call, no process and no isolation


SOURCE: Final = {Work.BASH: "true", Work.PYTHON3: "def main():\n    return None\n"}


def surroundings() -> dict[str, str]:
    """The environment that every side starts with.

    Nothing of the caller's PYTHON settings: a cache prefix alone makes each new python3 compile its library.
    """
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


class Side(Protocol):
    """A running system with `SLOTS` worker slots, the broker before it and a durable store behind it."""

    name: str
    works: Sequence[Work]

    def submit(self, work: Work) -> str:
        """Hand one job in; on return it is durable. The job's id. Called from several threads."""
        ...

    def are_recorded(self, total: int) -> bool:
        """Whether `total` jobs since the start have their result in the store. Raises `JobWentWrong`."""
        ...

    def recorded(self, job_ids: Sequence[str]) -> list[str]:
        """Those of `job_ids` whose result is in the store."""
        ...

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        ...


class JobWentWrong(Exception):
    """A no-op failed or never came back: the measure is void."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything one run does."""

    rounds: int
    burst: dict[Work, int]
    steady_jobs: int
    rate_per_s: float = 10.0


FULL: Final = Plan(rounds=3, burst={Work.BASH: 300, Work.PYTHON3: 60, Work.IN_PROCESS: 300}, steady_jobs=20)
QUICK: Final = Plan(rounds=3, burst={Work.BASH: 60, Work.PYTHON3: 20, Work.IN_PROCESS: 60}, steady_jobs=6)
