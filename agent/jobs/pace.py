"""How much to have on its way at once: a slow link gets little at a time, a fast one is kept full. Pure."""

from dataclasses import dataclass, replace
from typing import Final

BYTES_MIN: Final = 8 * 1024
BYTES_MAX: Final = 128 * 1024
BATCHES_MAX: Final = 4
FAST_S: Final = 1.0  # a confirm that came within this time: the link takes more
SLOW_S: Final = 4.0  # one that took longer: what waits behind it waits too long, and confirms have a limit


@dataclass(frozen=True, slots=True)
class Pace:
    batch_bytes: int = 32 * 1024
    batches: int = 2  # in flight

    def after(self, confirm_s: float) -> "Pace":
        """The pace after a confirm that took so long."""
        if confirm_s < FAST_S:
            return Pace(min(BYTES_MAX, self.batch_bytes * 2), min(BATCHES_MAX, self.batches + 1))
        if confirm_s > SLOW_S:
            return Pace(max(BYTES_MIN, self.batch_bytes // 2), 1)
        return replace(self)
