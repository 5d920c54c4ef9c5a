"""Time, handed in: ages come from the monotonic clock, the wall clock is only for display."""

import time
from pathlib import Path
from typing import Final, Protocol

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    def monotonic_s(self) -> float:
        """Seconds that only grow; meaningless across restarts."""
        ...

    def wall_s(self) -> float:
        """Seconds since the epoch, UTC, as this machine believes them; may jump."""
        ...

    def boot_id(self) -> str:
        """Names the run of this machine in which `monotonic_s` counts."""
        ...


class SystemClock:
    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()

    def boot_id(self) -> str:
        try:
            return BOOT_ID.read_text().strip()
        except OSError:  # no Linux: each process counts for itself
            return f"process {id(self)} {time.monotonic_ns()}"
