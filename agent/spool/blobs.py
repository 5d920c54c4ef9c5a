"""Documents too large for a row, as checksummed files beside the database."""

import hashlib
import os
from pathlib import Path


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
    temp = path.with_name(path.name + ".tmp")
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

    def put(self, owner: str, data: bytes) -> str:
        """Keep `data` in place of what `owner` had. Returns its SHA-256 (hexadecimal)."""
        write_durably(self._path(owner), data)
        return hashlib.sha256(data).hexdigest()

    def is_whole(self, owner: str, sha256: str) -> bool:
        """Whether the document is there and undamaged. It is never in memory as a whole."""
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
        self._path(owner).unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        return self._folder / hashlib.sha256(owner.encode()).hexdigest()
