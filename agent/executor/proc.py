"""What the kernel tells of processes under /proc. A process that is gone is no error here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

# In the environment of a job's processes: its directory. A job id would not do: two agents on one
# machine may run two attempts of one job, and neither may end the other's.
MARK: Final = "ORVANTA_JOB_DIRECTORY"
_MARK: Final = MARK.encode() + b"="


def start_ticks(pid: int) -> int | None:
    """When it began, in clock ticks since boot: within one boot, pid and ticks name one process."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])


def session(pid: int) -> int | None:
    """The session it belongs to, which is the pid of the process that began it."""
    try:
        return os.getsid(pid)
    except OSError:
        return None


def boot_id() -> str:
    """Differs from boot to boot, so that a pid noted before a power cut means nothing after it."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def pids() -> Iterator[int]:
    """Every process there is, but this one."""
    own = os.getpid()
    for name in os.listdir(PROC):  # noqa: PTH208 a name is wanted, a Path per process is not
        if name.isdecimal() and int(name) != own:
            yield int(name)


def mark_of(pid: int) -> str | None:
    """The directory of the job whose process this is, if it is one's."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        if entry.startswith(_MARK):
            return os.fsdecode(entry.removeprefix(_MARK))
    return None


def tree_peak_kb(pid: int) -> int:
    """The peak resident sizes of a process and its descendants, added up; 0 when it is gone."""
    return _peak_kb(pid) + sum(tree_peak_kb(child) for child in _children(pid))


def _peak_kb(pid: int) -> int:
    try:
        status = (PROC / str(pid) / "status").read_bytes()
    except OSError:
        return 0
    _, found, rest = status.partition(b"VmHWM:")  # a zombie has none
    return int(rest.split(None, 1)[0]) if found else 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(PROC / str(pid) / "task"):  # noqa: PTH208 as above
            listed = (PROC / str(pid) / "task" / thread / "children").read_bytes()
            found += map(int, listed.split())
    except OSError:
        pass  # gone meanwhile, or a kernel without these lists
    return found
