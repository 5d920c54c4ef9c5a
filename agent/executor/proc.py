"""What the kernel tells of processes under /proc. A process that is gone is no error here."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

# In the environment of a job's processes: its directory. A job id would not do: two agents on one
# machine may run two attempts of one job, and neither may end the other's.
MARK: Final = "ORVANTA_JOB_DIRECTORY"
_MARK: Final = MARK.encode() + b"="


PAGE_KB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it was at one look."""

    pid: int
    parent: int
    session: int
    tasks: int  # its threads; none when it has ended and nobody has reaped it
    ticks: int  # see `start_ticks`
    resident_kb: int  # with what it shares


def seen(pid: int) -> Seen | None:
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    tasks = 0 if fields[0] in (b"Z", b"X") else int(fields[17])
    return Seen(pid, int(fields[1]), int(fields[3]), tasks, int(fields[19]), int(fields[21]) * PAGE_KB)


def table(wanted: Iterable[int]) -> dict[int, Seen]:
    """Those of them that are there."""
    return {pid: one for pid in wanted if (one := seen(pid)) is not None}


def own_memory_kb(pid: int) -> int:
    """What it holds for itself, and its share of what it has in common with others; 0 when it is gone."""
    for name, word in (("smaps_rollup", b"Pss:"), ("status", b"RssAnon:")):
        try:
            _, found, rest = (PROC / str(pid) / name).read_bytes().partition(b"\n" + word)
        except OSError:  # gone, or another's: then the second has to do
            continue
        if found:
            return int(rest.split(None, 1)[0])
    return 0


def tasks_of(uid: int) -> int:
    """How many threads of this user the kernel counts, but those of a process that hides from others."""
    count = 0
    for pid in pids():
        try:
            about = (PROC / str(pid) / "task").stat()
        except OSError:
            continue
        count += about.st_nlink - 2 if about.st_uid == uid else 0
    return count


def start_ticks(pid: int) -> int | None:
    """When it began, in clock ticks since boot: within one boot, pid and ticks name one process."""
    found = seen(pid)
    return None if found is None else found.ticks


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
