"""What the agent asks of the kernel for itself, so that a job finds no way into it."""

import ctypes
import os
from typing import Final

PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
PR_SET_NO_NEW_PRIVS: Final = 38
OURS_ALONE: Final = 0o077


def shut() -> int:
    """Also to jobs of our own user: no ptrace, no /proc/<agent>/environ, mem or fd, and no core dump.

    What we make from now on is open to nobody else. Returns the umask as it was, which is for the jobs.
    """
    _prctl(PR_SET_DUMPABLE, 0)
    return os.umask(OURS_ALONE)


def no_new_privileges() -> None:
    """What this thread starts, and what that starts, gains no rights from any program that it runs."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    """Raises OSError."""
    zero = ctypes.c_ulong(0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
