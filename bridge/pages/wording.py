"""Numbers as people say them. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
STEPS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"))
KIB: Final = 1024
FEW: Final = 10  # below so many the next smaller step still says something
UNKNOWN: Final = "\N{EN DASH}"


def age(seconds: float | None) -> str:
    """`4 s`, `12 min`, `3 h 20 min`, `12 d`: the second step only while it says something."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    for place, (step, name) in enumerate(STEPS):
        if whole < step:
            continue
        count, rest = divmod(whole, step)
        if place + 1 < len(STEPS) and count < FEW:
            smaller, smaller_name = STEPS[place + 1]
            if more := rest // smaller:
                return f"{count} {name} {more} {smaller_name}"
        return f"{count} {name}"
    return f"{whole} s"


def size(count: float | None) -> str:
    """`512 B`, `3.4 MiB`."""
    if count is None:
        return UNKNOWN
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= KIB and len(units) > 1:
        value /= KIB
        units.pop(0)
    return f"{value:.0f} {units[0]}" if value >= FEW or units[0] == "B" else f"{value:.1f} {units[0]}"


def moment(wall_s: float | None) -> str:
    """RFC 3339 in UTC, to the second: for `datetime` attributes, which a browser turns into its own time."""
    if wall_s is None:
        return ""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(wall_s: float | None) -> str:
    """What stands in a page without scripts: UTC, and says so."""
    if wall_s is None:
        return UNKNOWN
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def offset(milliseconds: int | None) -> str:
    """By how much a clock is wrong: `in step`, `4.2 s ahead`, `2 h behind`."""
    if milliseconds is None:
        return UNKNOWN
    seconds = abs(milliseconds) / 1000
    if seconds < 1:
        return "in step"
    said = f"{seconds:.1f} s" if seconds < FEW else age(seconds)
    return f"{said} {'ahead' if milliseconds > 0 else 'behind'}"


def many(count: int, one: str, more: str = "") -> str:
    """`1 job`, `3 jobs`."""
    return f"{count} {one if count == 1 else more or f'{one}s'}"


FILTERS: Final[dict[str, Callable[..., str]]] = {
    "age": age,
    "size": size,
    "moment": moment,
    "clock": clock,
    "offset": offset,
    "many": many,
}
