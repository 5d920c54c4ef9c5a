"""Artefacts by their digest, in a folder beside the store: bounded; what was used longest ago goes first."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import structlog

from agent.wire.bundles import is_digest

log = structlog.get_logger()

MAKING: Final = "making"  # what is being fetched; what a crash left of it goes at start
READ_BYTES: Final = 1024 * 1024


class Cache:
    """Blocks: to be called beside the loop. All of it can be fetched again."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def open(self) -> None:
        """Raises OSError."""
        shutil.rmtree(self._folder / MAKING, ignore_errors=True)
        (self._folder / MAKING).mkdir(parents=True)
        for path in self._folder.iterdir():
            if path.is_file() and not is_digest(path.name):
                path.unlink()

    @contextmanager
    def workshop(self) -> Iterator[Path]:
        """A folder to fetch into. Raises OSError."""
        folder = Path(mkdtemp(dir=self._folder / MAKING))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def add(self, file: Path) -> tuple[str, int]:
        """Move a file of a workshop in; on return no power cut takes a byte of it. Its digest and size."""
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as source:
            while piece := source.read(READ_BYTES):
                digest.update(piece)
                size += len(piece)
            os.fsync(source.fileno())
        path = self._folder / digest.hexdigest()
        file.replace(path)
        os.utime(path)
        _fsync(self._folder)
        return path.name, size

    def has(self, sha256: str, size: int) -> bool:
        """Whether it is here whole; from now on it was used last."""
        path = self._folder / sha256
        try:
            os.utime(path)
            return path.stat().st_size == size
        except OSError:
            return False

    def part(self, sha256: str, start: int, size: int) -> bytes:
        """Empty when it is not here, or ends before `start`."""
        if not is_digest(sha256):
            return b""
        try:
            with (self._folder / sha256).open("rb") as file:
                file.seek(start)
                return file.read(size)
        except OSError:
            return b""

    def size_of(self, sha256: str) -> int | None:
        try:
            return (self._folder / sha256).stat().st_size if is_digest(sha256) else None
        except OSError:
            return None

    def shrink(self, kept: frozenset[str] = frozenset()) -> None:
        """To its bound (I6), but for what was just fetched."""
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another bridge of this folder took it
                if is_digest(path.name):
                    found = path.stat()
                    files.append((found.st_mtime, found.st_size, path))
        used = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if used <= self._most_bytes:
                return
            if path.name not in kept:
                path.unlink(missing_ok=True)
                used -= size
                log.info("artefact.dropped", sha256=path.name, bytes=size)


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
