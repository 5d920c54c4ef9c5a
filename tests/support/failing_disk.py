"""A disk of a test's own that answers with I/O errors for as long as it is told to. Needs root and FUSE."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Final

import pytest

from dev_tools.places import ROOT
from dev_tools.processes import Running
from tests.support.disks import unmount
from tests.support.until import until

EVERYTHING: Final = ("read", "write", "fsync")


def why_not() -> str:
    """What this machine lacks for a file system of our own; empty when it lacks nothing."""
    if os.geteuid() != 0:
        return "needs root to mount a file system of its own"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "needs /dev/fuse"
    return "" if find_library("fuse") else "needs FUSE's library: apt-get install libfuse2"


needs_fuse = pytest.mark.skipif(bool(why_not()), reason=why_not())


class FailingDisk:
    """`fuse_passthrough`, told what to do."""

    def __init__(self, folder: Path, faults: Path) -> None:
        self.folder: Final = folder
        self._faults: Final = faults

    def fail(self, *what: str) -> None:
        """From the return on each "read", "write" or "fsync" that is named answers EIO; others go on."""
        for one in what:
            (self._faults / one).touch()

    def mend(self) -> None:
        for one in self._faults.iterdir():
            one.unlink()


@asynccontextmanager
async def failing_disk(place: Path) -> AsyncIterator[FailingDisk]:
    """Well at first."""
    below, mounted, faults = (place / name for name in ("below", "disk", "faults"))
    for folder in (below, mounted, faults):
        folder.mkdir()
    command = [sys.executable, "-m", "tests.support.fuse_passthrough", *map(str, (below, mounted, faults))]
    with Running(command, env=os.environ, log=place / "disk.log", cwd=ROOT) as process:
        try:
            await until(lambda: process.is_running() and mounted.is_mount())
            yield FailingDisk(mounted, faults)
        finally:
            unmount(mounted)
