"""What the kernel says of a process: CPU time and bytes handed to the disk."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> tuple[float, float]:
    """CPU seconds of the process itself, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICKS_PER_S, children / TICKS_PER_S


def thread_cpu_s(pid: int) -> tuple[float, float]:
    """CPU seconds of the main thread, and of all other living threads."""
    main, others = 0.0, 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            seconds = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
            if int(task.name) == pid:
                main = seconds
            else:
                others += seconds
    return main, others


def written_bytes(pid: int) -> int:
    """Bytes the process's own living threads caused to be written.

    Not /proc/PID/io: the kernel adds there what the process's ended children wrote.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            lines = (task / "io").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])
    return total


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in listed.split()]


def resident_bytes(pid: int) -> int:
    """Of memory that the process holds now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024
