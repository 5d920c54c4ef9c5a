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

    def is_whole(self, owner: str, sha256: str) -> bool:
        """Whether the document is there and undamaged. It is never in memory as a whole. Raises OSError."""
        try:
            with self._path(owner).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except FileNotFoundError:
            return False

    def part(self, owner: str, offset: int, size: int) -> bytes:
        """Bytes of the document from `offset`; empty when it is gone."""
        try:
            with self._path(owner).open("rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            return b""

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

    def names_of(self, owners: Collection[str]) -> set[str]:
        """The files that these would have."""
        return {self._path(owner).name for owner in owners}

    def sweep(self, names: Collection[str], wanted: Collection[str]) -> int:
        """Remove what a crash left of `names` without an owner, count the rest. Returns the number removed.

        List the names before the owners: then an owner that comes later has no file among them (I3).
        """
        orphans = set(names).difference(wanted)
        for name in orphans:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink(missing_ok=True)
        self._count(sum(_size(self._folder / name) for name in set(names) - orphans))
        return len(orphans)

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
