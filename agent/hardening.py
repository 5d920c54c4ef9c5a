"""What the agent asks of the kernel for itself, so that a job finds no way into it."""

import os
from typing import Final

from agent.executor.kernel import prctl

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
PR_SET_NO_NEW_PRIVS: Final = 38
OURS_ALONE: Final = 0o077


def shut() -> int:
    """Also to jobs of our own user: no ptrace, no /proc/<agent>/environ, mem or fd, and no core dump.

    What we make from now on is open to nobody else. Returns the umask as it was, which is for the jobs.
    """
    prctl(PR_SET_DUMPABLE, 0)
    return os.umask(OURS_ALONE)


def no_new_privileges() -> None:
    """What this thread starts, and what that starts, gains no rights from any program that it runs."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
