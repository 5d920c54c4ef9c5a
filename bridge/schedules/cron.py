"""When a schedule is due: cron with seconds, in a time zone, right over every change of its clocks. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from bridge.errors import BadRequest

FIELDS: Final = 6
EXAMPLE: Final = "0 0 12 * * * is noon of every day"


@dataclass(frozen=True, slots=True)
class Cron:
    """The second of the minute stands apart, if it is one.

    Then the other fields are those of a crontab, and as there a time of day that a clock change skips comes
    right after it, and one that the change repeats comes once. Other schedules keep their distances.
    """

    fields: str
    second: int
    zone: ZoneInfo

    def next_after(self, after_s: float) -> float | None:
        """The first tick after this moment, in wall seconds; None when none comes in 50 years."""
        try:
            start = datetime.fromtimestamp(after_s - self.second, self.zone)
            ticks = (tick.timestamp() + self.second for tick in CronSim(self.fields, start))
            # From within the second pass of a repeated hour, ticks of its first pass are told too.
            return next((tick_s for tick_s in ticks if tick_s > after_s), None)
        except (OverflowError, ValueError):  # no calendar goes so far
            return None


def parsed(expression: str, timezone: str) -> Cron:
    """Raises `BadRequest`."""
    words = expression.split()
    if len(words) != FIELDS:
        raise BadRequest(
            f"schedule needs {FIELDS} fields, second minute hour day-of-month month day-of-week; {EXAMPLE}"
        )
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 only its fields are looked at
    except CronSimError as error:
        raise BadRequest(f"schedule {expression!r}: {error}; {EXAMPLE}") from error
    zone = _zone(timezone)
    if words[0].isdecimal():
        return Cron(" ".join(words[1:]), int(words[0]), zone)
    return Cron(" ".join(words), 0, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadRequest(f"timezone must be an IANA name such as Europe/Paris, not {name[:60]!r}") from None
