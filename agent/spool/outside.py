"""What is seen of a spool from outside, whether or not its agent runs."""

import contextlib
import fcntl
import os
from itertools import islice
from pathlib import Path
from typing import Final

WALKED_MAX: Final = 10_000  # files of running jobs that are looked at; more are not counted


def noted_room(path: Path) -> str:
    """What the agent of this spool said last about its room; empty when it never did."""
    try:
        return (path / "room").read_text(errors="replace").strip()
    except OSError:
        return ""


def is_locked(path: Path) -> bool:
    """Whether an agent holds the spool at `path` now."""
    try:
        descriptor = os.open(path / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def used_below(folder: Path, most: int = WALKED_MAX) -> int:
    """Bytes of the running jobs' own files. What goes while we look is passed over."""
    total = 0
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    for file in islice(files, most):
        with contextlib.suppress(OSError):
            total += file.lstat().st_size
    return total
