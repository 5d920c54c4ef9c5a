"""What to do next with the jobs in custody. Pure: values in, values out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from agent.jobs.model import Held, Key, State
from agent.wire.claims import Tag


@dataclass(frozen=True, slots=True)
class Start:
    job: Held


@dataclass(frozen=True, slots=True)
class Expire:
    job: Held


Action: TypeAlias = Start | Expire

TICK_S: Final = 0.001  # a timer may fire a little early, and must not be set for nothing again and again


def choose(
    ready: Sequence[Held], expiring: Sequence[Held], in_slots: Collection[Key], slots: int, now_s: float
) -> list[Action]:
    """What to do next, in order. `now_s` is monotonic, so no wall clock expires a job.

    `ready`: the best that may start, at least `slots` of them when there are so many. `expiring`: those not
    started that expire soonest. `in_slots`: jobs that have a slot already, though their start may not be on
    disk yet (I2).
    """
    slots_free = max(0, slots - len(in_slots))
    expired = [job for job in expiring if job.key not in in_slots and _is_expired(job, now_s)]
    able = [
        job
        for job in ready
        if job.state is State.READY and job.key not in in_slots and not _is_expired(job, now_s)
    ]
    return [*map(Expire, expired), *map(Start, able[:slots_free])]


def next_expiry_s(expiring: Sequence[Held], in_slots: Collection[Key], now_s: float) -> float | None:
    """Seconds until the next job expires that has no slot, or None when none will."""
    times = [job.expires_s for job in expiring if job.expires_s is not None and job.key not in in_slots]
    return max(TICK_S, min(times) - now_s) if times else None


def wanted_tags(
    unstarted: Mapping[Tag, int], limits: Mapping[Tag, int], open_now: frozenset[Tag], *, has_room: bool
) -> frozenset[Tag]:
    """The tags to consume: closed at the high-water mark, open again at half of it (I6)."""
    if not has_room:
        return frozenset()
    return frozenset(
        tag
        for tag, limit in limits.items()
        if unstarted.get(tag, 0) < limit and (tag in open_now or unstarted.get(tag, 0) <= limit // 2)
    )


def _is_expired(job: Held, now_s: float) -> bool:
    return job.expires_s is not None and job.expires_s <= now_s
