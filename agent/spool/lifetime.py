"""How long the agents of this spool have run, in all: a clock that no battery sets wrong; it only lags."""

from agent.clock import Clock


class Lifetime:
    def __init__(self, clock: Clock, before_s: float = 0.0) -> None:
        """`before_s`: what earlier processes have counted and written down."""
        self._clock = clock
        self._before_s = before_s
        self._began_s = clock.monotonic_s()

    def now_s(self) -> float:
        return self._before_s + self._clock.monotonic_s() - self._began_s


def read(text: str | None) -> float:
    """What was written down; 0 when it is not there or damaged, which only keeps things longer."""
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
