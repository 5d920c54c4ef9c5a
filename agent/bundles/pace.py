"""How large a part to ask for: what is asked for stands in the way of receipts and cancels. Pure."""

from dataclasses import dataclass
from typing import Final

from agent.wire.bundles import PART_MAX_BYTES

SMALLEST: Final = 4 * 1024
IN_FLIGHT: Final = 3  # parts on their way: the line is never idle, and a cut costs no more than these
FAST_S: Final = 0.25  # between two parts; shorter: the line takes larger ones
SLOW_S: Final = 0.8


@dataclass(frozen=True, slots=True)
class PartPace:
    size: int = 8 * 1024  # bytes of one part

    def after(self, gap_s: float) -> "PartPace":
        """The pace when a whole part came so long after the one before, or after it was asked for alone.

        The gap is what the line takes for one part, however long the way is.
        """
        if gap_s < FAST_S:
            return PartPace(min(PART_MAX_BYTES, self.size * 2))
        if gap_s > SLOW_S:
            return PartPace(max(SMALLEST, self.size // 2))
        return self
