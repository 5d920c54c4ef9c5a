"""What a bridge with a broker has beside what all have, for who looks and decides."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.broker.channel import Broker
from bridge.relay.replays import Replays
from bridge.runs.model import Way


@dataclass(frozen=True, slots=True)
class Carriage:
    ready_max: int
    broker_now: Callable[[], Broker | None]
    replays: Replays

    def way(self) -> Way:
        """How the way to the sites stands now, as this process sees it."""
        broker = self.broker_now()
        blocked = "" if broker is None else broker.blocked
        return Way(ready_max=self.ready_max, is_up=broker is not None, blocked=blocked)
