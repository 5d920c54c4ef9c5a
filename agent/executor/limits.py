"""What one job may use at most; applied from the parent with prlimit, never between fork and exec."""

import resource
from dataclasses import dataclass

MAX_TIMEOUT_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    memory_mb: int | None = None  # address space
    file_mb: int = 4096  # largest file a job may write
    result_mb: int = 64
    timeout_s: float = MAX_TIMEOUT_S
    kill_grace_s: float = 5.0  # between SIGTERM and SIGKILL

    def apply(self, pid: int) -> None:
        """Raises ProcessLookupError when the process is gone already."""
        size = self.file_mb * 1024 * 1024
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
        if self.memory_mb is not None:
            memory = self.memory_mb * 1024 * 1024
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))

    def effective_timeout_s(self, wanted_s: float | None) -> float:
        """The job's own limit if it is smaller than the largest allowed (agent-api.md 7.5)."""
        return self.timeout_s if wanted_s is None else min(wanted_s, self.timeout_s)
