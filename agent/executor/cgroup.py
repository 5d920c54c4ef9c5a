"""A control group (v2) for each job, where somebody has delegated a subtree to the agent.

What it gives, and rlimits do not: nobody leaves it, so one word kills all of a job; and where the controllers
are delegated as well, the kernel holds the whole job to its memory and its processes.
"""

import hashlib
import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from agent.executor.limits import MIB, Limits

log = structlog.get_logger()

OWN_LEAF: Final = "agent"  # where we move ourselves: a group with controllers may hold no processes itself
CONTROLLERS: Final = ("memory", "pids")
DELEGATED: Final = ("user.delegate", "trusted.delegate")  # what systemd marks such a subtree with
SELF: Final = Path("/proc/self")
END_S: Final = 5.0


class Cgroup:
    """One job's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, pid: int) -> None:
        """It, and whatever it starts from now on. Raises OSError."""
        (self._path / "cgroup.procs").write_text(str(pid))

    def processes(self) -> list[int]:
        return [int(line) for line in self._read("cgroup.procs").split()]

    def memory_kb(self) -> int | None:
        """What the whole job uses now; None where the kernel is not told to count it."""
        found = self._read("memory.current")
        return int(found) // 1024 if found else None

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed of it because of its limit."""
        return _event(self._read("memory.events"), "oom_kill") > 0

    def end(self) -> None:
        """Kill whatever is left in it, wait for that, and remove it. Never raises."""
        with suppress(OSError):  # a kernel before 5.14
            (self._path / "cgroup.kill").write_text("1")
        try:
            _wait_until_empty(self._path)
            _remove(self._path)
        except OSError as error:
            log.warning("cgroup.left", path=str(self._path), error=str(error))

    def _read(self, name: str) -> str:
        try:
            return (self._path / name).read_text()
        except OSError:
            return ""


class Cgroups:
    """The groups of one executor's jobs, side by side in the subtree that is delegated to it."""

    def __init__(self, base: Path, work_dir: Path) -> None:
        """`base`: a group without processes. `work_dir` tells its jobs from those of other agents."""
        self._base = base
        self._prefix = f"orvanta-{hashlib.sha256(os.fsencode(work_dir)).hexdigest()[:12]}-"
        for name in CONTROLLERS:
            with suppress(OSError):  # not delegated, or of cgroup v1 here: then we watch
                (base / "cgroup.subtree_control").write_text(f"+{name}")

    @property
    def controllers(self) -> str:
        return (self._base / "cgroup.subtree_control").read_text().strip()

    def make(self, job_id: str, limits: Limits) -> Cgroup | None:
        """None when it cannot be made: then the job does without."""
        path = self._base / f"{self._prefix}{job_id}"
        try:
            path.mkdir(exist_ok=True)
            for name, value in settings_of(limits).items():
                with suppress(FileNotFoundError, PermissionError):  # not among the controllers that we have
                    (path / name).write_text(value)
        except OSError as error:
            log.warning("cgroup.not_made", path=str(path), error=str(error))
            return None
        return Cgroup(path)

    def end_all(self) -> None:
        """End what an earlier life of the agent left in its groups, and the groups."""
        for path in self._base.glob(f"{self._prefix}*"):
            Cgroup(path).end()


def settings_of(limits: Limits) -> dict[str, str]:
    """What a job's group is told, by the names of its files."""
    told = {}
    if limits.memory_mb is not None:
        told["memory.max"] = str(limits.memory_mb * MIB)
        told["memory.swap.max"] = "0"
        told["memory.oom.group"] = "1"
    if limits.processes is not None:
        told["pids.max"] = str(limits.processes)
    return told


def delegated() -> Path | None:
    """Our own group, if it is a subtree that we may divide; we have moved to a leaf of it then."""
    own = _own_group()
    if own is None or not _is_delegated(own):
        return None
    try:
        (own / OWN_LEAF).mkdir(exist_ok=True)
        (own / OWN_LEAF / "cgroup.procs").write_text(str(os.getpid()))
    except OSError as error:
        log.warning("cgroup.not_delegated", path=str(own), error=str(error))
        return None
    return own


def why_unusable(base: Path) -> str:
    """Why jobs cannot have groups below `base`; empty when they can."""
    if not (base / "cgroup.procs").is_file():
        return "it is no control group of version 2; name a folder below the mount of cgroup2"
    if not os.access(base, os.W_OK) or not os.access(base / "cgroup.procs", os.W_OK):
        return "the agent may not write it; give it, with its cgroup.* files, to the agent's user"
    return ""


def _own_group() -> Path | None:
    try:
        groups = (SELF / "cgroup").read_text().splitlines()
        mounts = (SELF / "mountinfo").read_text().splitlines()
    except OSError:
        return None
    within = next((line[len("0::") :] for line in groups if line.startswith("0::")), None)
    points = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if within is None or not points:
        return None
    own = Path(points[0], within.lstrip("/"))
    return own.parent if own.name == OWN_LEAF else own  # moved there by an earlier life of this process


def _is_delegated(own: Path) -> bool:
    for name in DELEGATED:
        with suppress(OSError):
            if os.getxattr(own, name) == b"1":
                return True
    return os.geteuid() != 0 and not why_unusable(own)  # to root every group can be written


def _remove(path: Path) -> None:
    """With the groups that a job made below its own. Raises OSError."""
    for inner in path.iterdir():
        if inner.is_dir():
            _remove(inner)
    path.rmdir()


def _wait_until_empty(path: Path) -> None:
    """Raises TimeoutError."""
    with (path / "cgroup.events").open() as events:
        changes = select.poll()
        changes.register(events, select.POLLPRI)
        while _event(events.read(), "populated"):
            if not changes.poll(END_S * 1000):
                raise TimeoutError(f"processes in {path} do not end")
            events.seek(0)


def _event(text: str, name: str) -> int:
    pairs = (line.split() for line in text.splitlines())
    return next((int(value) for key, value in pairs if key == name), 0)
