"""What share of its slots a worker uses, over several stretches of time. Pure but for its counters."""

from collections import deque
from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    busy_s: float  # of all slots together, since the start


class Occupancy:
    """Times are monotonic seconds."""

    def __init__(self, slots: int, now_s: float) -> None:
        self._slots = slots
        self._busy = 0
        self._last = self._first = _Sample(now_s, 0.0)
        self._samples = deque([self._first])

    def begins(self, now_s: float) -> None:
        self._advance(now_s)
        self._busy += 1

    def ends(self, now_s: float) -> None:
        self._advance(now_s)
        self._busy -= 1

    def sample(self, now_s: float) -> None:
        """To be called every few seconds: what `over` compares with."""
        self._advance(now_s)
        self._samples.append(self._last)
        while len(self._samples) > 1 and self._samples[1].at_s <= now_s - LONGEST_S:
            self._samples.popleft()

    def over(self, stretch_s: float) -> float:
        """From 0 to 1, over the last `stretch_s` seconds up to the newest sample."""
        since_s = self._last.at_s - stretch_s
        before = max((one for one in self._samples if one.at_s <= since_s), key=_at, default=self._samples[0])
        return self._share(before)

    @property
    def of_all_time(self) -> float:
        return self._share(self._first)

    def _share(self, before: _Sample) -> float:
        took_s = self._last.at_s - before.at_s
        return 0.0 if took_s <= 0 else (self._last.busy_s - before.busy_s) / (took_s * self._slots)

    def _advance(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._last.at_s)
        self._last = _Sample(self._last.at_s + passed_s, self._last.busy_s + passed_s * self._busy)


def _at(sample: _Sample) -> float:
    return sample.at_s
