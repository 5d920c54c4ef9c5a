"""What goes wrong, when, for how long, and whom it hits: drawn from a seed before the run begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

SITES: Final = ("north", "south", "east")
SMALL_DISK: Final = "south"  # its spool lies on a disk that can be filled
OWN_CLOCK: Final = "east"  # its clock can be set
BRIDGE: Final = "bridge"
BROKER: Final = "broker"
NOBODY: Final = "a job"

SHORT_S: Final = (0.3, 3.0)
LONG_S: Final = (8.0, 14.0)
AWAY_S: Final = (25.0, 40.0)  # longer than the shared tag's lost_after and than two heartbeats
LONG_SHARE: Final = 0.12
FIRST_AT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    whom: str
    at_s: float  # after the start of the run
    lasts_s: float
    choice: float  # 0 to 1: the direction, the rate, the jump, the jobs

    @property
    def part(self) -> str:
        """What of the victim it works on: one fault at a time for each part."""
        return f"{KINDS[self.kind].part} of {self.whom}"


@dataclass(frozen=True, slots=True)
class Kind:
    part: str
    victims: tuple[str, ...]
    weight: int = 1  # cards in the deck
    lasts_s: tuple[float, float] = SHORT_S


KINDS: Final[dict[str, Kind]] = {
    "site_link_cut": Kind("link", SITES, 8),
    "site_link_stall": Kind("link", SITES, 5),
    "site_link_half_open": Kind("link", SITES, 5),
    "site_link_forget": Kind("link", SITES, 4),
    "site_link_throttle": Kind("link", SITES, 5),
    "site_link_delay": Kind("link", SITES, 5),
    "bridge_link_cut": Kind("link", (BRIDGE,), 4),
    "bridge_link_stall": Kind("link", (BRIDGE,), 2),
    "bridge_link_half_open": Kind("link", (BRIDGE,), 2),
    "bridge_link_forget": Kind("link", (BRIDGE,)),  # stops all for half a minute, until it is found out
    "bridge_link_throttle": Kind("link", (BRIDGE,), 2),
    "bridge_link_delay": Kind("link", (BRIDGE,), 2),
    "kill_agent": Kind("process", SITES, 14),
    "kill_bridge": Kind("process", (BRIDGE,), 5),
    "kill_broker": Kind("process", (BROKER,), 2),
    "memory_alarm": Kind("process", (BROKER,), 2),
    "disk_alarm": Kind("process", (BROKER,), 2),
    "spool_full": Kind("disk", (SMALL_DISK,), 5),
    "clock_jump": Kind("clock", (OWN_CLOCK,), 8),
    "cancel": Kind("job", (NOBODY,), 16, (0.0, 0.0)),
}


def plan(seed: int, count: int, until_s: float) -> list[Fault]:
    """The same for the same arguments, whatever this machine can do of it; in the order of time.

    Kinds are dealt from a shuffled deck, so that a short run has each of them too.
    """
    draw = Random(f"faults {seed}")  # noqa: S311 a seeded plan, no secret
    dealt = _deal(draw)
    gap_s = max(0.0, until_s - FIRST_AT_S) / max(1, count)
    return [
        _fault(draw, next(dealt), FIRST_AT_S + gap_s * (number + draw.random())) for number in range(count)
    ]


def _deal(draw: Random) -> Iterator[str]:
    first = list(KINDS)
    draw.shuffle(first)
    yield from first
    while True:
        deck = [name for name, kind in KINDS.items() for _ in range(kind.weight)]
        draw.shuffle(deck)
        yield from deck


def _fault(draw: Random, name: str, at_s: float) -> Fault:
    kind = KINDS[name]
    lasts_s = kind.lasts_s
    if lasts_s == SHORT_S and draw.random() < LONG_SHARE:
        lasts_s = draw.choice((LONG_S, AWAY_S)) if kind.victims == SITES else LONG_S
    return Fault(name, draw.choice(kind.victims), at_s, draw.uniform(*lasts_s), draw.random())
