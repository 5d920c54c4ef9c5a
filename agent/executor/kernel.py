"""What only the kernel's prctl(2) can be asked for."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
PR_GET_CHILD_SUBREAPER: Final = 37

_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)
_adopting: Final = threading.Lock()


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    _call(option, ctypes.c_ulong(value))


@contextmanager
def adopting() -> Iterator[None]:
    """For this moment, orphans among our descendants become our children. Raises OSError.

    No longer: a daemon that a job leaves behind would be ours to reap, too.
    """
    with _adopting:  # the kernel keeps one word for the whole process
        before = ctypes.c_int(0)
        _call(PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        try:
            yield
        finally:
            prctl(PR_SET_CHILD_SUBREAPER, before.value)


def _call(option: int, value: object) -> None:
    zero = ctypes.c_ulong(0)
    if _LIBRARY.prctl(option, value, zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
