"""What one job may use at most; set from the parent with prlimit, never between fork and exec."""

import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
WORDS: Final = {  # of bash's ulimit: the option and the bytes in its unit
    resource.RLIMIT_CORE: ("-c", 1024),
    resource.RLIMIT_DATA: ("-d", 1024),
    resource.RLIMIT_NPROC: ("-u", 1),
    resource.RLIMIT_FSIZE: ("-f", 1024),
    resource.RLIMIT_NOFILE: ("-n", 1),
}
FLOOD: Final = 64  # a job that writes so many times what its log takes is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None means no limit. The kernel's limits hold for each process of the job by itself.

    What holds for the whole job is held by its cgroup where it has one, and watched in any case.
    """

    memory_mb: int | None = (
        None  # of each process, as `RLIMIT_DATA` counts, and of the job; None: see `watch`
    )
    processes: int | None = 1000  # of the job, with their threads
    open_files: int | None = 4096  # of each process
    file_mb: int | None = 4096  # the largest file it may write
    folder_mb: int | None = 4096  # all that lies in its directory
    output_bytes: int = 16 * MIB  # log text beyond this is dropped, with a line that says how much
    result_bytes: int = 64 * MIB  # a larger result is a failed job
    default_timeout_s: float | None = None  # for a job that brings none; None: max_timeout_s
    max_timeout_s: float = 7 * 86_400.0
    kill_grace_s: float = 5.0  # between SIGTERM and SIGKILL

    def apply(self, pid: int, others: int | None = None) -> str:
        """Limit a process that has just been started. One that has ended already is let be.

        `others`: tasks that its user has beside the job, for the kernel counts them all; None: it is root,
        whom the kernel does not count.

        Returns what it must put on itself, in words of bash's `ulimit`: a root without CAP_SYS_RESOURCE, as
        in most containers, may not limit another user's process.
        """
        wanted = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_DATA: _bytes(self.memory_mb),
            resource.RLIMIT_FSIZE: _bytes(self.file_mb),
            resource.RLIMIT_NOFILE: self.open_files,
        }
        if others is not None and self.processes is not None:
            wanted[resource.RLIMIT_NPROC] = self.processes + others
        known = {kind: most for kind, most in wanted.items() if most is not None}
        itself = ""
        try:
            for kind, most in known.items():
                _lower(pid, kind, most)
        except ProcessLookupError:
            pass
        except PermissionError:
            itself = " ".join(_word(kind, most) for kind, most in known.items())
        with suppress(OSError):  # some containers forbid it; then the kernel chooses by size alone
            Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        return itself

    def timeout_s(self, asked_s: float | None) -> tuple[float, str | None]:
        """The time limit of a job that asked for `asked_s`, and a warning for its log (7.5)."""
        if asked_s is None or asked_s <= 0:
            default_s = self.default_timeout_s
            return (self.max_timeout_s if default_s is None else min(default_s, self.max_timeout_s)), None
        if asked_s > self.max_timeout_s:
            warning = (
                f"WARNING: the job's timeout of {asked_s:g} s is over the largest allowed here; "
                f"{self.max_timeout_s:g} s hold instead\n"
            )
            return self.max_timeout_s, warning
        return asked_s, None


def _bytes(size_mb: int | None) -> int | None:
    return None if size_mb is None else size_mb * MIB


def _word(kind: int, most: int) -> str:
    """The process has our hard limits, and may not raise them."""
    name, unit = WORDS[kind]
    hard = resource.getrlimit(kind)[1]
    return f"{name}={(most if hard == resource.RLIM_INFINITY else min(most, hard)) // unit}"


def _lower(pid: int, kind: int, most: int) -> None:
    """Nobody but root may raise a hard limit, so a stricter one that is there already stays."""
    _, hard = resource.prlimit(pid, kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.prlimit(pid, kind, (most, most))
