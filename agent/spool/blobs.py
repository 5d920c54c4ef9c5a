"""Documents too large for a row, as checksummed files beside the database."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from agent.spool.sealing import OVERHEAD, Seal, is_sealed
from agent.wire.envelope import BLOB_PART_BYTES

TEMP: Final = ".tmp"


def fsync_dir(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes, mode: int = 0o666) -> None:
    """On return `data` survives a power cut; until then `path` is as it was (I3).

    `mode`: of a new file, less the umask. Raises OSError, once. The caller does not try again on the same
    file.
    """
    _write_durably(path, (data,), mode)


def _write_durably(path: Path, pieces: Iterable[bytes], mode: int = 0o666) -> None:
    temp = path.with_name(path.name + TEMP)
    with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
    temp.replace(path)
    fsync_dir(path.parent)


def replace_durably(path: Path, data: bytes, mode: int) -> None:
    """The same for a file that is there; what stood in it is overwritten, so that no free block has it."""
    with path.open("r+b") as old:
        write_durably(path, data, mode)
        _overwrite(old)


def erase(path: Path) -> None:
    """Remove a file of which no free block is to keep anything. Raises OSError."""
    with path.open("r+b") as file:
        _overwrite(file)
    path.unlink()


def _overwrite(file: BinaryIO) -> None:
    file.write(bytes(os.fstat(file.fileno()).st_size))
    file.flush()
    os.fsync(file.fileno())


class Blobs:
    """One document per job's attempt. Never shared: equal documents of two jobs leave at different times.

    A sealed one is sealed part by part, so that each part can be read and sent by itself.
    """

    def __init__(self, folder: Path, seal: Seal | None = None) -> None:
        self._folder = folder
        self._seal = seal or Seal()
        self._counting = threading.Lock()
        self.used_bytes = 0  # `sweep` begins the count

    def put(self, owner: str, data: bytes) -> str:
        """Keep `data` in place of what `owner` had. Returns its SHA-256 (hexadecimal). Raises OSError."""
        path = self._path(owner)
        before = _size(path)
        try:
            _write_durably(path, self._closed(owner, data))
        except OSError:
            with contextlib.suppress(OSError):
                path.with_name(path.name + TEMP).unlink(missing_ok=True)  # half of it would hold the room
            raise
        self._count(_size(path) - before)
        return hashlib.sha256(data).hexdigest()

    def is_whole(self, owner: str, sha256: str) -> bool:
        """Whether the document is there and undamaged. It is never in memory as a whole. Raises OSError."""
        digest = hashlib.sha256()
        try:
            for piece in self.pieces(owner):
                digest.update(piece)
        except FileNotFoundError:
            return False
        return digest.hexdigest() == sha256

    def pieces(self, owner: str) -> Iterator[bytes]:
        """The document, part by part, up to the first one that does not open. Raises OSError."""
        with self._path(owner).open("rb") as file:
            begin = file.peek(OVERHEAD)
            size = BLOB_PART_BYTES + (OVERHEAD if is_sealed(begin) else 0)
            for index, kept in enumerate(iter(lambda: file.read(size), b"")):
                piece = self._seal.open(kept, "document", owner, index) if is_sealed(begin) else kept
                if piece is None:
                    return
                yield piece

    def part(self, owner: str, index: int) -> bytes:
        """A part of the document, of `BLOB_PART_BYTES` but for the last; empty when it is gone or damaged."""
        try:
            with self._path(owner).open("rb") as file:
                if not is_sealed(file.peek(OVERHEAD)):
                    file.seek(index * BLOB_PART_BYTES)
                    return file.read(BLOB_PART_BYTES)
                file.seek(index * (BLOB_PART_BYTES + OVERHEAD))
                kept = file.read(BLOB_PART_BYTES + OVERHEAD)
        except FileNotFoundError:
            return b""
        return self._seal.open(kept, "document", owner, index) or b""

    def seal(self, owner: str) -> bool:
        """Seal a document that is in the clear, or that an older key has sealed. Raises OSError.

        False: it is sealed, gone, or damaged.
        """
        path = self._path(owner)
        try:
            kept = path.read_bytes()
            if not self._seal.is_due(kept):
                return False
            data = b"".join(self.pieces(owner)) if is_sealed(kept) else kept
            if is_sealed(kept) and len(data) < _opened_size(len(kept)):
                return False
            _write_durably(path, self._closed(owner, data))
        except FileNotFoundError:
            return False
        return True

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

    def _closed(self, owner: str, data: bytes) -> Iterator[bytes]:
        if not self._seal.key_id:
            yield data
            return
        for index, start in enumerate(range(0, len(data), BLOB_PART_BYTES)):
            yield self._seal.close(data[start : start + BLOB_PART_BYTES], "document", owner, index)

    def _count(self, change: int) -> None:
        with self._counting:  # documents are written beside the loop
            self.used_bytes += change

    def _path(self, owner: str) -> Path:
        return self._folder / hashlib.sha256(owner.encode()).hexdigest()


def _opened_size(kept_size: int) -> int:
    """Bytes of a document of which so many are kept sealed, when every part of it opens."""
    return kept_size - OVERHEAD * -(-kept_size // (BLOB_PART_BYTES + OVERHEAD))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
