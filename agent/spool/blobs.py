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
    """Bytes by their SHA-256 (hexadecimal)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name
        if not path.exists():
            write_durably(path, data)
        return name

    def get(self, name: str) -> bytes | None:
        """The bytes, or None when they are gone or damaged."""
        try:
            data = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == name else None

    def drop(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
