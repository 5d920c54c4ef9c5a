"""How custody is kept when its custodian falls silent: per job, per tag, with one default (DESIGN section 3).

Of what the job and its tag ask for, the strictest wins: `at_most_once`, and `never`. Of two `lost_after` none
is stricter (short is early, long is late), so there the nearer one wins: job, then tag, then the default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from agent.wire.claims import Tag
from agent.wire.messages import Delivery

LOST_AFTER_S: Final = 86_400
SHORTEST_S: Final = 15  # an agent pings every 10 s; below this a healthy one would look lost


class Replace(StrEnum):
    NEVER = "never"  # a lost job is closed with `CustodianLost`
    WHEN_LOST = "when_lost"  # an at_least_once job is dispatched again


class TagPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator says of the tags that match a pattern; what is left out is the default."""

    delivery: Delivery = Delivery.AT_LEAST_ONCE
    lost_after_s: float | None = None
    replace: Replace = Replace.WHEN_LOST


@dataclass(frozen=True, slots=True)
class Policies:
    """Patterns are shell-style (`pos-*`); the first that matches decides."""

    lost_after_s: float = LOST_AFTER_S
    by_pattern: Mapping[str, TagPolicy] = field(default_factory=dict)

    def lost_after(self, tag: Tag, asked_s: float | None = None) -> float:
        """Seconds that a silent custodian keeps a job of this tag that asks for `asked_s` itself."""
        wishes = (asked_s, self._of(tag).lost_after_s, self.lost_after_s)
        return next(wish for wish in wishes if wish is not None)

    def delivery(self, tag: Tag, asked: Delivery) -> Delivery:
        """The stricter of what the job asks for and what its tag demands."""
        strict = Delivery.AT_MOST_ONCE
        return strict if strict in (asked, self._of(tag).delivery) else asked

    def may_replace(self, tag: Tag, delivery: Delivery, asked: Replace | None = None) -> bool:
        """I2: an at_most_once job that a custodian held is never dispatched twice, whatever a policy says."""
        never = Replace.NEVER in (asked, self._of(tag).replace)
        return delivery is Delivery.AT_LEAST_ONCE and not never

    def _of(self, tag: Tag) -> TagPolicy:
        return next((own for like, own in self.by_pattern.items() if fnmatchcase(tag, like)), TagPolicy())


def by_pattern(text: str) -> dict[str, TagPolicy]:
    """Read `{"pos-*": {"delivery": "at_most_once", "lost_after_s": 3600, "replace": "never"}}`.

    Raises ValueError, which says where it is wrong.
    """
    policies = msgspec.json.decode(text, type=dict[str, TagPolicy])
    for pattern, policy in policies.items():
        if policy.lost_after_s is not None and policy.lost_after_s < SHORTEST_S:
            raise ValueError(f"lost_after_s of {pattern!r} must be at least {SHORTEST_S} (seconds)")
    return policies
