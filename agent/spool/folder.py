"""The spool's folder: made, locked, proven writable, or refused by name."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from agent.errors import SpoolGone, SpoolLocked, SpoolUnusable
from agent.spool.blobs import fsync_dir
from agent.spool.identity import identity_of
from agent.spool.refusal import why_unusable

PROBE_BYTES: Final = 128 * 1024  # what SQLite needs to open and write one row
NOTE_BYTES: Final = 1024
PASSAGE: Final = 0o711  # through it, and not into it
FLOOR_BYTES: Final = 16 * 1024 * 1024  # below this much free disk nothing new is taken (I6)


class Folder:
    """An exclusively held spool folder. Raises `SpoolLocked`, `SpoolUnusable` when it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "spool.db"
        self.blobs = path / "blobs"
        self.work = path / "work"
        self.bundles = path / "bundles"
        try:
            _make(path)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SpoolUnusable(why_unusable(path, error)) from error
        self._take(self._lock)
        try:
            self.blobs.mkdir(exist_ok=True)
            self.work.mkdir(exist_ok=True)
            self._probe()
            self.identity = identity_of(path)
            self._room = os.open(path / "room", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            os.close(self._lock)
            raise SpoolUnusable(why_unusable(path, error)) from error

    def let_jobs_through(self) -> None:
        """Jobs of another user reach their directories here, and read nothing else. Raises OSError."""
        for path in self.path.iterdir():
            if path not in (self.work, self.bundles) and not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)
        self.path.chmod(PASSAGE)
        self.work.chmod(PASSAGE)

    def free_bytes(self) -> int:
        """0 when the disk does not even say: nothing new is taken then."""
        try:
            disk = os.statvfs(self.path)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def disk_bytes(self) -> int:
        disk = os.statvfs(self.path)
        return disk.f_blocks * disk.f_frsize

    def is_ours(self) -> bool:
        """Whether the lock that is held is still the one that the next agent would find."""
        try:
            there, held = (self.path / "lock").stat(), os.fstat(self._lock)
        except OSError:
            return False
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def take_again(self) -> None:
        """The same spool came back in another mount: lock it there. Raises `SpoolGone`, `SpoolLocked`."""
        known = self.path / "identity"
        try:
            if known.read_text(errors="replace").strip() != self.identity or not self.database.exists():
                raise SpoolGone(gone(self.path))
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SpoolGone(gone(self.path)) from error
        self._take(lock)
        os.close(self._lock)
        self._lock = lock

    def fault(self) -> OSError | None:
        """What the disk says to a small durable write; None when it takes it."""
        try:
            self._probe()
        except OSError as error:
            return error
        return None

    def note_room(self, text: str) -> None:
        """In place, in a block that is there already: this works on a full disk too. Only for people."""
        with contextlib.suppress(OSError):
            os.pwrite(self._room, text.encode()[:NOTE_BYTES].ljust(NOTE_BYTES), 0)

    def release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            os.close(self._room)
            self._lock = -1

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise SpoolLocked(
                f"the spool {self.path} is used by another agent (pid {holder}); "
                "stop that one, or give this agent a folder of its own with --spool."
            ) from error
        with contextlib.suppress(OSError):  # only for people; of a full disk the probe tells
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _probe(self) -> None:
        """As much as a start needs, written and fsynced: a full or read-only disk is met before a job is."""
        probe = self.path / "probe"
        with probe.open("wb") as file:
            file.write(b"\0" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()


def _make(path: Path) -> None:
    """Make the folder and its parents; on return no power cut takes the whole spool away by its name (I3).

    The name is synced at each start: the start that made the folder may have been killed before it could.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):  # a parent that we may not read is not one that we made
        for folder in (path, *missing):
            fsync_dir(folder.parent)


def gone(path: Path) -> str:
    return (
        f"the spool {path} was deleted, or another folder is in its place, while the agent ran; "
        "put it back if there is a copy, then start the agent again. "
        "Without it the bridge sends again, or ends, each job that was held."
    )
