"""How long somebody was not heard of, by a clock that cannot jump, while it could be heard."""

from collections.abc import Container, Hashable
from dataclasses import dataclass

from agent.clock import Clock


@dataclass(frozen=True, slots=True)
class _Seen:
    last_heard: float  # the ledger's wall time: here only to notice that it has changed
    before_s: float  # silence before this process first looked
    at_s: float  # monotonic


class Silence:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[Hashable, _Seen] = {}
        self._hearing_since: float | None = None  # monotonic; None while the broker is away

    def hearing(self, *, now: bool) -> None:
        """Whether messages of agents can reach us now: while they cannot, nobody is silent."""
        if not now:
            self._hearing_since = None
        elif self._hearing_since is None:
            self._hearing_since = self._clock.monotonic_s()

    def of(self, who: Hashable, last_heard: float) -> float:
        """Seconds of silence. `last_heard`: wall seconds, as the ledger has it."""
        now_s = self._clock.monotonic_s()
        seen = self._seen.get(who)
        if seen is None:  # we have just started: what passed before only the wall clock knows
            seen = _Seen(last_heard, max(0.0, self._clock.wall_s() - last_heard), now_s)
        elif seen.last_heard != last_heard:
            seen = _Seen(last_heard, 0.0, now_s)
        self._seen[who] = seen
        return seen.before_s + now_s - seen.at_s

    def forget_but(self, those: Container[Hashable]) -> None:
        for who in [who for who in self._seen if who not in those]:
            del self._seen[who]

    def could_be_heard_for(self, seconds: float) -> bool:
        """Whether we have listened for `seconds` without a break."""
        return self._hearing_since is not None and (
            self._clock.monotonic_s() - self._hearing_since >= seconds
        )
