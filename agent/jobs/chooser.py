"""What to do next with the jobs in custody. Pure: values in, values out."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
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

UNSTARTED = (State.WAITING, State.READY)
TICK_S: Final = 0.001  # a timer may fire a little early, and must not be set for nothing again and again


def choose(held: Sequence[Held], in_slots: Collection[Key], slots: int, now_s: float) -> list[Action]:
    """What to do next, in order. `now_s` is monotonic, so no wall clock expires a job.

    `in_slots`: jobs that have a slot already, though their start may not be on disk yet (I2).
    """
    slots_free = max(0, slots - len(in_slots))
    unstarted = [job for job in held if job.state in UNSTARTED and job.key not in in_slots]
    expired = [job for job in unstarted if _is_expired(job, now_s)]
    ready = [job for job in unstarted if job.state is State.READY and not _is_expired(job, now_s)]
    return [*map(Expire, expired), *map(Start, sorted(ready, key=Held.rank)[:slots_free])]


def next_expiry_s(held: Iterable[Held], now_s: float) -> float | None:
    """Seconds until the next held job expires, or None when none will."""
    times = [job.expires_s for job in held if job.state in UNSTARTED and job.expires_s is not None]
    return max(TICK_S, min(times) - now_s) if times else None


def wanted_tags(
    held: Iterable[Held], limits: Mapping[Tag, int], open_now: frozenset[Tag], *, has_room: bool
) -> frozenset[Tag]:
    """The tags to consume: closed at the high-water mark, open again at half of it (I6)."""
    if not has_room:
        return frozenset()
    waiting = Counter(job.tag for job in held if job.state in UNSTARTED)
    return frozenset(
        tag
        for tag, limit in limits.items()
        if waiting[tag] < limit and (tag in open_now or waiting[tag] <= limit // 2)
    )


def _is_expired(job: Held, now_s: float) -> bool:
    return job.expires_s is not None and job.expires_s <= now_s
