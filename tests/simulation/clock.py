"""A site's clocks: the monotonic one starts anew with each boot, the wall clock may be wrong and jump."""

from random import Random

from tests.simulation.loop import VirtualLoop

EPOCH_S = 1_700_000_000.0


class SimClock:
    def __init__(self, loop: VirtualLoop, draw: Random) -> None:
        self._loop = loop
        self._boot_s = draw.uniform(0, 1e6)
        self.wrong_by_s = 0.0

    def monotonic_s(self) -> float:
        return self._loop.time() + self._boot_s

    def boot_id(self) -> str:
        return str(self._boot_s)

    def wall_s(self) -> float:
        return EPOCH_S + self._loop.time() + self.wrong_by_s
