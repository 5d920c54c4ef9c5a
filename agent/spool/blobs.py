"""Documents too large for a row, as checksummed files beside the database."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

TEMP: Final = ".tmp"


def fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """On return `data` survives a power cut; until then `path` is as it was (I3).

    Raises OSError, once. The caller does not try again on the same file.
    """
    temp = path.with_name(path.name + TEMP)
    with temp.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temp.replace(path)
    fsync_dir(path.parent)


class Blobs:
    """One document per job's attempt. Never shared: equal documents of two jobs leave at different times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counting = threading.Lock()
        self.used_bytes = 0  # `sweep` begins the count

    def put(self, owner: str, data: bytes) -> str:
        """Keep `data` in place of what `owner` had. Returns its SHA-256 (hexadecimal). Raises OSError."""
        path = self._path(owner)
        before = _size(path)
        try:
            write_durably(path, data)
        except OSError:
            with contextlib.suppress(OSError):
                path.with_name(path.name + TEMP).unlink(missing_ok=True)  # half of it would hold the room
            raise
        self._count(len(data) - before)
        return hashlib.sha256(data).hexdigest()

    def get(self, owner: str, sha256: str) -> bytes | None:
        """The bytes, or None when they are gone or damaged. Raises OSError when the disk refuses."""
        try:
            data = self._path(owner).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def drop(self, owner: str) -> None:
        """Never raises OSError: what a failing disk keeps is swept at a later start."""
        path = self._path(owner)
        size = _size(path)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            self._count(-size)

    def names(self) -> set[str]:
        """Every file that is there now."""
        return {path.name for path in self._folder.iterdir()}

    def sweep(self, names: Collection[str], owners: Collection[str]) -> int:
        """Remove what a crash left of `names` without an owner, count the rest. Returns the number removed.

        List the names before the owners: then an owner that comes later has no file among them (I3).
        """
        wanted = {self._path(owner).name for owner in owners} if names else set()
        for name in set(names) - wanted:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)
        self._count(sum(_size(self._folder / name) for name in wanted.intersection(names)))
        return len(set(names) - wanted)

    def _count(self, change: int) -> None:
        with self._counting:  # documents are written beside the loop
            self.used_bytes += change

    def _path(self, owner: str) -> Path:
        return self._folder / hashlib.sha256(owner.encode()).hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
