"""What only the kernel's prctl(2) can be asked for."""

import ctypes
import os
import threading
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36  # linux/prctl.h
PR_GET_CHILD_SUBREAPER: Final = 37

_LIBRARY: Final = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    _call(option, ctypes.c_ulong(value))


class Adopting:
    """While any of these is begun, orphans among our descendants become our children.

    No longer: a daemon that a job leaves behind would be ours to reap, too.
    """

    _lock: Final = threading.Lock()  # the kernel keeps one word for the whole process
    _begun = 0
    _before = 0

    def begin(self) -> None:
        """Raises OSError."""
        with self._lock:
            if Adopting._begun == 0:
                before = ctypes.c_int(0)
                _call(PR_GET_CHILD_SUBREAPER, ctypes.byref(before))
                Adopting._before = before.value
                prctl(PR_SET_CHILD_SUBREAPER, 1)
            Adopting._begun += 1

    def end(self) -> None:
        """To be called once for each beginning."""
        with self._lock:
            Adopting._begun -= 1
            if Adopting._begun == 0:
                prctl(PR_SET_CHILD_SUBREAPER, Adopting._before)


def _call(option: int, value: object) -> None:
    zero = ctypes.c_ulong(0)
    if _LIBRARY.prctl(option, value, zero, zero, zero) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
