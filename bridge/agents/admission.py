"""Whose turn it is when a whole fleet comes back at once: places in a queue that nobody stands in. Pure.

The bridge gives each agent that comes over the rate a moment of its own and forgets about it; the agent works
on and comes back at that moment. Nothing is held open meanwhile, on either side.
"""

import math
from dataclasses import dataclass
from typing import Final

from agent.wire.claims import WorkerName

KEPT_S: Final = (
    15.0  # how long after its moment a place is still good: longer than an agent waits for an answer
)
LONGEST_S: Final = 900.0  # no place lies further ahead; whoever comes then asks again later (I6)
ROUNDING_S: Final = 1e-5  # who comes less than this early is on time: sums of floats are not exact


@dataclass(frozen=True, slots=True)
class Turn:
    """`wait_s` of 0: come in now. `place`: how many are let in until then, this one included."""

    wait_s: float
    place: int


class Admission:
    """A token bucket whose coming tokens are promised to those who asked first.

    In any stretch of `w` seconds it lets in at most `per_s` * (w + KEPT_S) + 1 agents.
    """

    def __init__(self, per_s: int, now_s: float) -> None:
        """Nothing is saved up at the start: nobody knows whom the process before this one let in just now."""
        self._every_s: Final = 1 / per_s
        self._saved_s: Final = (per_s - 1) * self._every_s  # a quiet second earns a burst of `per_s`
        self._next_s = now_s  # the next moment that nobody has
        self._moments: dict[WorkerName, float] = {}  # in the order of the moments, as they are given out

    def turn(self, worker: WorkerName, now_s: float) -> Turn:
        """When `worker` may come in. `now_s` is monotonic.

        Asking early changes nothing. Coming at one's moment, or `KEPT_S` after it, uses the place up.
        """
        self._forget_missed(now_s)
        moment_s = self._moments.get(worker)
        if moment_s is None:
            moment_s = max(self._next_s, now_s - self._saved_s)
            if moment_s - now_s > LONGEST_S:
                return self._turn(LONGEST_S)  # not remembered
            self._next_s = moment_s + self._every_s
        if moment_s <= now_s + ROUNDING_S:
            self._moments.pop(worker, None)
            return Turn(0.0, 0)
        self._moments[worker] = moment_s
        return self._turn(moment_s - now_s)

    @property
    def waiting(self) -> int:
        """Agents that have a place and have not come."""
        return len(self._moments)

    def _turn(self, wait_s: float) -> Turn:
        return Turn(wait_s, math.ceil((wait_s - ROUNDING_S) / self._every_s))

    def _forget_missed(self, now_s: float) -> None:
        while self._moments:
            worker, moment_s = next(iter(self._moments.items()))
            if moment_s + KEPT_S >= now_s:
                return
            del self._moments[worker]
