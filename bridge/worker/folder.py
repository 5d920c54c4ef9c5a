"""Where a normal worker's scripts have their directories: a folder that no other process uses meanwhile."""

import fcntl
from io import BufferedWriter
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError

FOLDERS_MAX: Final = 1000


class Folder:
    """The first free one of `<base>/1`, `<base>/2` …: so what a killed worker left running is found again."""

    def __init__(self, base: Path) -> None:
        """It is held for as long as this object lives. Raises `ConfigError`."""
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.lock, self.path = _taken(base)
        except OSError as error:
            raise ConfigError(
                f"WORKER_DIR {base} cannot be used: {error.strerror}; name a folder that can be written"
            ) from error


def _taken(base: Path) -> tuple[BufferedWriter, Path]:
    for number in range(1, FOLDERS_MAX + 1):
        path = base / str(number)
        lock = path.with_suffix(".lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            path.mkdir(mode=0o700, exist_ok=True)
            return lock, path
    raise ConfigError(f"WORKER_DIR {base}: {FOLDERS_MAX} workers use it already")
