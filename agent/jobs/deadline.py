"""When a job's `not_after` has certainly passed, whatever the clocks say (DESIGN section 3). Pure.

Two counts of a job's age are trusted. Both can only lag behind the truth, so the greater one holds:
- our own: its age when it came, and what our monotonic clock has counted since. It knows nothing of the time
  that the agent was not running.
- the bridge's: what its clock shows now, once we know it, since the dispatch. It knows of power cuts too.

The wall clock of the site is never asked: a battery that failed must neither end a job early nor keep it for
years. So after a reboot without a link a job may start later than it should; from the moment that the time of
the bridge is known, none does.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    own_s: float  # monotonic: when our own count reaches it
    bridge_s: float  # what the bridge's clock shows when its count does


def deadline_of(left_s: float, lives_s: float, dispatched_at: float, now_s: float) -> Deadline:
    """`left_s` of `lives_s` are left by our own count at `now_s` (monotonic)."""
    known = dispatched_at > 0  # no bridge of ours leaves it out
    return Deadline(now_s + left_s, dispatched_at + lives_s if known else math.inf)


def age_on_arrival(age_s: float, dispatched_at: float, bridge_now_s: float | None) -> float:
    """Seconds since the dispatch: as the wire says, or as the bridge's clock does when it says more."""
    by_bridge = 0.0 if bridge_now_s is None or dispatched_at <= 0 else bridge_now_s - dispatched_at
    return max(0.0, age_s, by_bridge)


def expires_s(deadline: Deadline, bridge_ahead_s: float | None) -> float:
    """Monotonic seconds at which running it is certainly pointless.

    `bridge_ahead_s`: the bridge's clock minus our monotonic one; None while it is not known.
    """
    by_bridge_s = math.inf if bridge_ahead_s is None else deadline.bridge_s - bridge_ahead_s
    return min(deadline.own_s, by_bridge_s)
