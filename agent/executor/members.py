"""All processes of one job, also those that left its group, its session or its parent."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.executor import leftovers, proc
from agent.executor.cgroup import Cgroup
from agent.executor.proc import Seen

SHORT_S: Final = 60.0  # within it no process number is given out twice
END_S: Final = 5.0  # so long those are ended that start others meanwhile


@dataclass(frozen=True, slots=True)
class Use:
    """What a job uses at one moment."""

    tasks: int
    memory_kb: int


class Members:
    """Where the job has a control group, that knows them. Else: by parent, by session, and by mark."""

    def __init__(self, directory: Path, cgroup: Cgroup | None) -> None:
        """To be made before the job's first process is."""
        self._mark = str(directory)
        self.cgroup = cgroup
        self._began_s = time.monotonic()
        self._before = frozenset[int]() if cgroup else frozenset(proc.pids())
        self._sessions: set[int] = set()
        self._strangers: set[tuple[int, int]] = set()
        self.ran_out_of_memory = False  # known once it has ended

    def lead(self, pid: int) -> None:
        """The leader, which still waits at its gate."""
        self._sessions.add(pid)
        self._before -= {pid}  # one that was forked ahead
        if self.cgroup is not None:
            try:
                self.cgroup.take(pid)
            except OSError:
                self.cgroup.end()
                self.cgroup = None

    def use(self, exact_above_kb: int | None) -> Use:
        """`exact_above_kb`: from here on what processes share is not counted for each of them."""
        mine = self._look()
        tasks = sum(one.tasks for one in mine)
        memory_kb = self.cgroup.memory_kb() if self.cgroup else None
        if memory_kb is None:
            memory_kb = sum(one.resident_kb for one in mine)
            if exact_above_kb is not None and memory_kb > exact_above_kb:
                memory_kb = sum(proc.own_memory_kb(one.pid) for one in mine)
        return Use(tasks, memory_kb)

    def end(self) -> None:
        """Kill those that have outlived the job's group, and wait for them."""
        if self.cgroup is not None:
            self.ran_out_of_memory = self.cgroup.ran_out_of_memory()
            self.cgroup.end()
            return
        deadline_s = time.monotonic() + END_S
        while (left := self._left()) and time.monotonic() < deadline_s:
            leftovers.kill_and_wait(left)

    def _left(self) -> set[int]:
        is_short = time.monotonic() - self._began_s < SHORT_S
        candidates = set(proc.pids()).difference(self._before if is_short else ())
        kin = self._by_kin(proc.table(candidates))
        _reap(kin)
        known = {one.pid for one in kin if one.tasks}
        return known | {pid for pid in candidates if proc.mark_of(pid) == self._mark}

    def _look(self) -> list[Seen]:
        if self.cgroup is not None:
            return list(proc.table(self.cgroup.processes()).values())
        table = proc.table(set(proc.pids()).difference(self._before))
        mine = self._by_kin(table)
        known = {one.pid for one in mine}
        for one in table.values():
            if one.pid not in known and (one.pid, one.ticks) not in self._strangers:
                if proc.mark_of(one.pid) == self._mark:
                    mine.append(one)
                else:
                    self._strangers.add((one.pid, one.ticks))
        self._strangers &= {(one.pid, one.ticks) for one in table.values()}
        self._sessions = {one.session for one in mine} or self._sessions
        return mine

    def _by_kin(self, table: dict[int, Seen]) -> list[Seen]:
        mine = {one.pid: one for one in table.values() if one.session in self._sessions}
        grew = True
        while grew:
            more = {pid: one for pid, one in table.items() if one.parent in mine and pid not in mine}
            mine |= more
            grew = bool(more)
        return list(mine.values())


def _reap(kin: Iterable[Seen]) -> None:
    """Those that have ended and became our children: in a container we may be whom all orphans go to."""
    for one in kin:
        if not one.tasks and one.parent == os.getpid():
            with suppress(ChildProcessError):
                os.waitpid(one.pid, os.WNOHANG)


class Crowd:
    """How many tasks a user has, asked of the kernel now and then."""

    EVERY_S: Final = 10.0
    HIDDEN: Final = 64  # for those that are not seen

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._count = 0
        self._asked_s = -self.EVERY_S

    def count(self) -> int | None:
        """None for root, whom the kernel does not hold to a number."""
        if self._uid == 0:
            return None
        if time.monotonic() - self._asked_s >= self.EVERY_S:
            self._count, self._asked_s = proc.tasks_of(self._uid) + self.HIDDEN, time.monotonic()
        return self._count
