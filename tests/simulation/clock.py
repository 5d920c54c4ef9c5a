"""A site's clocks: the monotonic one starts anew with each boot, the wall clock may be wrong and jump."""

from random import Random

from tests.simulation.loop import VirtualLoop

EPOCH_S = 1_700_000_000.0


class SimClock:
    def __init__(self, loop: VirtualLoop, draw: Random) -> None:
        self._loop = loop
        self._boot_s = draw.uniform(0, 1e6)
        self._boots = 0
        self.wrong_by_s = 0.0

    def reboot(self) -> None:
        """The machine was off: its monotonic clock begins anew, and counts in a new boot."""
        self._boot_s = -self._loop.time()
        self._boots += 1

    def monotonic_s(self) -> float:
        return self._loop.time() + self._boot_s

    def boot_id(self) -> str:
        return f"boot {self._boots}"

    def wall_s(self) -> float:
        return EPOCH_S + self._loop.time() + self.wrong_by_s
