"""How much of the disk the spool may use, and who has been promised what of it. Pure: values in and out."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from agent.spool.folder import FLOOR_BYTES

MIB: Final = 1024 * 1024
LEAST_BYTES: Final = 4 * MIB  # what a job reserves when room is scarce
RESULT_BYTES: Final = 64 * MIB  # what it reserves when there is plenty: its largest result
LOG_BYTES: Final = 64 * MIB  # log text kept in all, however much room there is
SMALL_BYTES: Final = 64 * 1024  # a result up to this size needs no promise
SHARE: Final = 4  # nothing takes more than a quarter of what it shares with others


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the operator allows."""

    quota_bytes: int | None = None  # None: as much as the disk has
    floor_bytes: int = FLOOR_BYTES  # free disk below which nothing new is taken
    log_bytes: int | None = None  # None: LOG_BYTES, or a quarter of the quota

    @property
    def least_bytes(self) -> int:
        """A job's smallest reservation: it must fit a small quota several times."""
        return LEAST_BYTES if self.quota_bytes is None else min(LEAST_BYTES, self.quota_bytes // 8)

    @property
    def log_most_bytes(self) -> int:
        if self.log_bytes is not None:
            return self.log_bytes
        return LOG_BYTES if self.quota_bytes is None else min(LOG_BYTES, self.quota_bytes // SHARE)

    def result_most_bytes(self, disk_bytes: int) -> int:
        """The largest result that can ever be kept on a disk of this size."""
        disk_bytes = max(disk_bytes - self.floor_bytes, LEAST_BYTES)
        whole = disk_bytes if self.quota_bytes is None else min(self.quota_bytes, disk_bytes)
        return min(RESULT_BYTES, whole // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    used: int  # bytes of the spool's own
    free: int  # bytes of its disk


class Budget:
    """A promise is made before a job starts, so that its result lands whatever comes in meanwhile (I6)."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._reserved: dict[Hashable, int] = {}
        self._stuck: set[Hashable] = set()  # hold a promise that is too small for their result
        self._takes = True

    @property
    def reserved(self) -> int:
        return sum(self._reserved.values())

    def room(self, seen: Measured) -> int:
        """Bytes that nobody has been promised; negative when a bound is overrun."""
        room = seen.free - self.bounds.floor_bytes
        if self.bounds.quota_bytes is not None:
            room = min(room, self.bounds.quota_bytes - seen.used)
        return room - self.reserved

    def may_take(self, seen: Measured) -> bool:
        """Whether new jobs may come in. Once closed it opens at twice the mark, so that it rarely turns."""
        least = self.bounds.least_bytes
        self._takes = self.room(seen) >= (least if self._takes else 2 * least)
        return self._takes

    def reserve(self, owner: Hashable, seen: Measured, *, backlog: Callable[[], bool]) -> bool:
        """Promise `owner` room for its result: a quarter of what there is, within the two bounds.

        `backlog`: results are here that make room when they leave. Without any, waiting would be for
        ever; then one job at a time may go past the quota and onto the floor.
        """
        room, least = self.room(seen), self.bounds.least_bytes
        granted = max(least, min(room // SHARE, RESULT_BYTES))
        if room < least and not (self._nobody_else_goes_on(owner, backlog=backlog) and seen.free >= least):
            return False
        self._reserved[owner] = granted
        return True

    def may_keep(self, owner: Hashable, size: int, seen: Measured, *, backlog: Callable[[], bool]) -> bool:
        """Whether a result of `size` bytes may be written now: from its promise, or from the free rest."""
        promised = self._reserved.get(owner, 0)
        fits = size <= max(promised, SMALL_BYTES) or size <= self.room(seen) + promised
        if not fits:
            self._stuck.add(owner)
            fits = self._nobody_else_goes_on(owner, backlog=backlog) and size <= seen.free
        return fits

    def release(self, owner: Hashable) -> None:
        self._reserved.pop(owner, None)
        self._stuck.discard(owner)

    def may_log(self, size: int, kept: int, seen: Measured) -> bool:
        """Log text gets only what no result has been promised, and no more than its own bound."""
        return kept + size <= self.bounds.log_most_bytes and size <= self.room(seen)

    def need_bytes(self) -> int:
        return self.bounds.least_bytes

    def _nobody_else_goes_on(self, owner: Hashable, *, backlog: Callable[[], bool]) -> bool:
        return self._reserved.keys() - self._stuck <= {owner} and not backlog()
