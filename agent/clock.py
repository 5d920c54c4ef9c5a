"""Time, handed in: ages come from the monotonic clock, the wall clock is only for display."""

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic_s(self) -> float:
        """Seconds that only grow; meaningless across restarts."""
        ...

    def wall_s(self) -> float:
        """Seconds since the epoch, UTC, as this machine believes them; may jump."""
        ...


class SystemClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()
