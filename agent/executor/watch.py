"""Looks at a running job now and then, until it uses more than it may."""

import asyncio
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.executor import endings
from agent.executor.endings import Interruption
from agent.executor.limits import FLOOD, MIB, Limits
from agent.executor.members import Members, Use
from agent.executor.output import Output

FIRST_S: Final = 0.25  # most jobs have ended by then
CALM_S: Final = 1.0
CLOSE_S: Final = 0.1  # while it uses more than a quarter of something
FOLDER_SHARE: Final = 20  # counting its files takes one part in so many of the time, at most
ENTRY_BYTES: Final = 1024  # a file or folder counts as no less
MEMORY_SHARE: Final = (3, 4)  # of the machine's, for a job that has no limit of its own
MEMINFO: Final = Path("/proc/meminfo")
VMSTAT: Final = Path("/proc/vmstat")


class Watch:
    def __init__(self, members: Members, directory: Path, output: Output, limits: Limits) -> None:
        self._members = members
        self._directory = directory
        self._output = output
        self._limits = limits
        self._memory_kb = machine_memory_kb(limits)
        self._folder_bytes = 0
        self._folder_at_s = 0.0
        self._kills: int | None = None

    async def exceeded(self) -> Interruption:
        """Returns once it does. Each look is beside the loop: there may be many processes and files."""
        wait_s = FIRST_S
        while True:
            await asyncio.sleep(wait_s)
            use = await asyncio.to_thread(self._look)
            for name, used, most, told in self._uses(use):
                if most is not None and used > most:
                    return endings.by_limit(name, told)
            shares = [used / most for _, used, most, _ in self._uses(use) if most]
            wait_s = CLOSE_S if max(shares, default=0) > 1 / 4 else CALM_S

    def memory_ran_out(self) -> bool:
        """Whether the kernel killed for want of memory while the job ran: of the job, or of the machine."""
        return self._members.ran_out_of_memory or (self._kills is not None and memory_kills() > self._kills)

    def _uses(self, use: Use) -> Iterator[tuple[str, int, int | None, str]]:
        """What is limited: the error's name, what is used, what may be, and the limit in words."""
        limits, flood = self._limits, self._limits.output_bytes * FLOOD
        folder_bytes = None if limits.folder_mb is None else limits.folder_mb * MIB
        yield "MemoryLimit", use.memory_kb, self._memory_kb, endings.memory_of((self._memory_kb or 0) // 1024)
        yield "ProcessLimit", use.tasks, limits.processes, endings.processes_of(limits.processes)
        yield "FolderLimit", self._folder_bytes, folder_bytes, endings.folder_of(limits.folder_mb)
        yield "OutputLimit", self._output.total_bytes, flood, endings.output_of(flood, limits.output_bytes)

    def _look(self) -> Use:
        if self._kills is None:
            self._kills = memory_kills()
        now_s = time.monotonic()
        most = self._limits.folder_mb
        if most is not None and now_s >= self._folder_at_s:
            self._folder_bytes = folder_bytes(self._directory, most * MIB)
            self._folder_at_s = now_s + FOLDER_SHARE * (time.monotonic() - now_s)
        return self._members.use(exact_above_kb=self._memory_kb)


def machine_memory_kb(limits: Limits) -> int | None:
    """What one job may use at most."""
    if limits.memory_mb is not None:
        return limits.memory_mb * 1024
    try:
        total_kb = int(MEMINFO.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    part, whole = MEMORY_SHARE
    return total_kb * part // whole


def memory_kills() -> int:
    """How often the kernel has killed for want of memory since the machine started."""
    try:
        _, found, rest = VMSTAT.read_text().partition("\noom_kill ")
        return int(rest.split(None, 1)[0]) if found else 0
    except OSError:
        return 0


def folder_bytes(folder: Path, enough: int) -> int:
    """The disk that it takes with all below it; counts no further once it is more than `enough`."""
    total, waiting = 0, [str(folder)]
    twice: set[tuple[int, int]] = set()
    while waiting and total <= enough:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(about.st_mode):
                        waiting.append(entry.path)
                    elif about.st_nlink > 1:
                        if (about.st_dev, about.st_ino) in twice:
                            continue
                        twice.add((about.st_dev, about.st_ino))
                    total += max(about.st_blocks * 512, ENTRY_BYTES)
        except OSError:
            continue  # gone meanwhile, or closed to us
    return total
