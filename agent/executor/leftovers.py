"""What an earlier life of the agent left running: found, killed, waited for, cleared away."""

import os
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.executor import proc
from agent.executor.directory import drop_notes, job_directories, noted_process, remove_tree

WAIT_S: Final = 5.0  # a killed process that is still there after this hangs in the kernel


def kill_leftovers(work_dir: Path) -> int:
    """The number of jobs of which something still ran. Their directories are removed as well."""
    directories = list(job_directories(work_dir))
    found = {str(path): _noted(path) for path in directories}
    for pid, mark in _marked(found).items():
        found[mark].add(pid)
    kill_and_wait({pid for pids in found.values() for pid in pids})
    for path in directories:
        remove_tree(path)
    drop_notes(work_dir)
    return sum(1 for pids in found.values() if pids)


def kill_and_wait(pids: Collection[int]) -> None:
    """SIGKILL them and return when they have ended, `WAIT_S` at most."""
    ending = select.poll()
    waiting: set[int] = set()
    for pid in pids:
        with suppress(OSError):  # gone already
            watched = os.pidfd_open(pid)
            waiting.add(watched)
            ending.register(watched, select.POLLIN)
            signal.pidfd_send_signal(watched, signal.SIGKILL)
    deadline_s = time.monotonic() + WAIT_S
    while waiting and (left_s := deadline_s - time.monotonic()) > 0:
        for watched, _ in ending.poll(left_s * 1000):
            ending.unregister(watched)
            waiting.discard(watched)
            os.close(watched)
    for watched in waiting:
        os.close(watched)
    for pid in pids:  # orphans that we adopted (see `kernel.adopting`)
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _noted(path: Path) -> set[int]:
    """The noted process and its whole session, if that process is still the one that was noted."""
    noted = noted_process(path, proc.boot_id())
    if noted is None or proc.start_ticks(noted[0]) != noted[1]:
        return set()  # gone, or another process that got the number since
    return {pid for pid in proc.pids() if proc.session(pid) == noted[0]}


def _marked(marks: Collection[str]) -> dict[int, str]:
    if not marks:
        return {}
    pairs = ((pid, proc.mark_of(pid)) for pid in proc.pids())
    return {pid: mark for pid, mark in pairs if mark is not None and mark in marks}
