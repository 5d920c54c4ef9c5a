"""The spool's room on its disk, measured and shared out; says so, by name, when something has to wait."""

import json
from collections.abc import Callable
from typing import Any, Final

import structlog

from agent.errors import SpoolFull
from agent.spool.budget import MIB, Bounds, Budget, Measured
from agent.wire.claims import Attempt, JobId

log = structlog.get_logger()

KEPT_FREE: Final = 4  # jobs' smallest reservations: custody opens again at two

Key = tuple[JobId, Attempt]


class Room:
    """Asks `measure` at each decision: counters and one call to the disk, never a walk through folders."""

    def __init__(self, bounds: Bounds, measure: Callable[[], Measured], note: Callable[[str], None]) -> None:
        """`note` leaves word for `agent status`."""
        self._budget = Budget(bounds)
        self._measure = measure
        self._note = note
        self._takes = True
        self._waiting: dict[Key, str] = {}
        self.log_bytes = 0  # log text that is kept and not sent
        self.fault = ""  # what is wrong with the disk, while something is

    def may_take(self) -> bool:
        """Whether custody of new jobs may be taken (I6)."""
        seen = self._measure()
        takes = self._budget.may_take(seen) and not self.fault
        if takes != self._takes:
            self._takes = takes
            if takes:
                log.info("spool.has_room", **self._figures(seen))
            else:
                log.warning("spool.full", reason=self.fault or str(self._full(seen)))
            self.tell()
        return takes

    def reserve(self, key: Key, *, backlog: Callable[[], bool]) -> bool:
        """Promise room for this job's result before it starts. False: it waits, and the log says why."""
        seen = self._measure()
        if self._budget.reserve(key, seen, backlog=backlog):
            if self._waiting.pop(key, None):
                log.info("job.has_room", job_id=key[0], attempt=key[1])
                self.tell()
            return True
        if key not in self._waiting:
            self._wait(key, "job.waits_for_room", str(self._full(seen)))
        return False

    def may_keep(self, key: Key, size: int, *, backlog: Callable[[], bool]) -> bool:
        """Whether this result may be written now. False: it waits in memory; it is never dropped (I6)."""
        seen = self._measure()
        if self._budget.may_keep(key, size, seen, backlog=backlog):
            self._waiting.pop(key, None)
            return True
        if key not in self._waiting:
            self._wait(key, "result.waits_for_room", f"its result has {_mb(size)} MB; {self._full(seen)}")
        return False

    def release(self, key: Key) -> None:
        self._budget.release(key)
        self._waiting.pop(key, None)

    def may_log(self, size: int) -> bool:
        return self._budget.may_log(size, self.log_bytes, self._measure())

    def count_log(self, change: int) -> None:
        self.log_bytes = max(0, self.log_bytes + change)

    def used_and_most(self) -> tuple[int, int]:
        """Bytes: what the spool uses, and what it may use: its quota, or what the disk has for it."""
        seen, bounds = self._measure(), self._budget.bounds
        disk = seen.used + max(0, seen.free - bounds.floor_bytes)
        return seen.used, disk if bounds.quota_bytes is None else min(bounds.quota_bytes, disk)

    def spare_bytes(self) -> int:
        """What may be kept beside custody: the next jobs still find room for their results (I6)."""
        return self._budget.room(self._measure()) - KEPT_FREE * self._budget.need_bytes()

    def tell(self) -> None:
        """For `agent status`, which cannot see what is promised."""
        self._note(json.dumps(self._figures(self._measure())))

    def _wait(self, key: Key, event: str, reason: str) -> None:
        self._waiting[key] = reason
        log.warning(event, job_id=key[0], attempt=key[1], reason=reason)
        self.tell()

    def _full(self, seen: Measured) -> SpoolFull:
        room = max(0, self._budget.room(seen))
        return SpoolFull(_mb(room), _mb(self._budget.need_bytes()))

    def _figures(self, seen: Measured) -> dict[str, Any]:
        bounds = self._budget.bounds
        return {
            "used_mb": _mb(seen.used),
            "quota_mb": None if bounds.quota_bytes is None else _mb(bounds.quota_bytes),
            "free_mb": _mb(seen.free),
            "floor_mb": _mb(bounds.floor_bytes),
            "reserved_mb": _mb(self._budget.reserved),
            "log_mb": _mb(self.log_bytes),
            "log_most_mb": _mb(bounds.log_most_bytes),
            "takes_jobs": self._takes,
            "waiting_for_room": len(self._waiting),
            "fault": self.fault,
        }


def _mb(size: int) -> float:
    return round(size / MIB, 1)
