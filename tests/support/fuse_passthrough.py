"""A file system over a folder, whose reads, writes or fsyncs fail with EIO while a file says so.

python -m tests.support.fuse_passthrough BELOW MOUNTED FAULTS

While `FAULTS/fsync` is there, every fsync fails. SIGTERM ends it. The kernel keeps no copy of what is read,
which would hide a fault; but of SQLite's shared memory, because a file has to be kept to be mapped.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Any

from fuse import FUSE, FuseOSError, Operations

from agent.spool.blobs import fsync_dir

STAT = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
STATVFS = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree", "f_favail")
MAPPED = "-shm"


class PassThrough(Operations):  # type: ignore[misc] # the library has no types
    use_ns = True

    def __init__(self, below: Path, faults: Path) -> None:
        self._below = below
        self._faults = faults

    def getattr(self, path: str, fi: Any = None) -> dict[str, int]:
        seen = os.fstat(fi.fh) if fi else os.lstat(self._at(path))
        times = {name: getattr(seen, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")}
        return {name: getattr(seen, name) for name in STAT} | times

    def statfs(self, path: str) -> dict[str, int]:
        seen = os.statvfs(self._at(path))
        return {name: getattr(seen, name) for name in STATVFS}

    def readdir(self, path: str, _fh: int) -> list[str]:
        return [".", "..", *(entry.name for entry in self._at(path).iterdir())]

    def open(self, path: str, fi: Any) -> int:
        fi.fh = os.open(self._at(path), fi.flags)
        fi.direct_io = not path.endswith(MAPPED)
        return 0

    def create(self, path: str, mode: int, fi: Any) -> int:
        fi.fh = os.open(self._at(path), fi.flags | os.O_CREAT, mode)
        fi.direct_io = not path.endswith(MAPPED)
        return 0

    def read(self, _path: str, size: int, offset: int, fi: Any) -> bytes:
        self._may("read")
        return os.pread(fi.fh, size, offset)

    def write(self, _path: str, data: bytes, offset: int, fi: Any) -> int:
        self._may("write")
        return os.pwrite(fi.fh, data, offset)

    def truncate(self, path: str, length: int, fi: Any = None) -> None:
        self._may("write")
        os.truncate(fi.fh if fi else self._at(path), length)

    def fsync(self, _path: str, _datasync: int, fi: Any) -> None:
        self._may("fsync")
        os.fsync(fi.fh)

    def fsyncdir(self, path: str, _datasync: int, _fh: int) -> None:
        self._may("fsync")
        fsync_dir(self._at(path))

    def release(self, _path: str, fi: Any) -> None:
        os.close(fi.fh)

    def rename(self, old: str, new: str) -> None:
        self._at(old).rename(self._at(new))

    def unlink(self, path: str) -> None:
        self._at(path).unlink()

    def mkdir(self, path: str, mode: int) -> None:
        self._at(path).mkdir(mode)

    def rmdir(self, path: str) -> None:
        self._at(path).rmdir()

    def chmod(self, path: str, mode: int) -> None:
        self._at(path).chmod(mode)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        os.utime(self._at(path), ns=times)

    def _at(self, path: str) -> Path:
        return self._below / path[1:]

    def _may(self, what: str) -> None:
        if (self._faults / what).exists():
            raise FuseOSError(errno.EIO)


if __name__ == "__main__":
    below, mounted, faults = map(Path, sys.argv[1:])
    # big_writes: else the kernel gives a page at a time
    FUSE(
        PassThrough(below, faults), str(mounted), raw_fi=True, foreground=True, use_ino=True, big_writes=True
    )
