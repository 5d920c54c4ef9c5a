"""The machine that a normal worker is on, as the Workers page tells of it."""

import os
import resource
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VCPU: Final = 100_000  # of a whole processor, as a cgroup's quota counts (agent-api.md 2.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    hostname: str
    version: str  # of the API that its worker speaks
    vcpus: int
    memory_bytes: int

    @classmethod
    def here(cls, version: str) -> "Machine":
        return cls(
            hostname=socket.gethostname(),
            version=version,
            vcpus=VCPU * (os.cpu_count() or 1),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        )

    def used_bytes(self) -> int:
        """By this process."""
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()
