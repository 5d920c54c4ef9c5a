"""A real ext4 that loses its power: the model of the disk is checked against the kernel's."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.disks import mount_image, shut_down

SIZE_MB: Final = 64
COMMIT_S: Final = 900  # ext4 would write its journal every 5 s by itself: a slow machine then loses nothing


class NoDisk(Exception):
    """This machine gives us no disk of our own to cut off."""


class Disk:
    def __init__(self, image: Path, folder: Path) -> None:
        self.folder: Final = folder
        self._image: Final = image

    def format(self) -> None:
        with self._image.open("wb") as file:
            file.truncate(SIZE_MB * 1024 * 1024)
        _run("mkfs.ext4", "-q", "-F", self._image)
        self._mount()

    def cut_power(self) -> None:
        shut_down(self.folder)

    def boot(self) -> None:
        """Mounted anew: the kernel mends it from the journal."""
        _run("umount", self.folder)
        self._mount()

    def unmount(self) -> None:
        subprocess.run(["umount", self.folder], check=False, capture_output=True)

    def _mount(self) -> None:
        mount_image(self._image, self.folder, f"commit={COMMIT_S}")


@contextmanager
def real_disk(place: Path) -> Iterator[Disk]:
    """Raises `NoDisk` where this user or machine cannot have one."""
    if os.geteuid() != 0:
        raise NoDisk("needs root to mount a disk of its own")
    disk = Disk(place / "image", place / "mounted")
    disk.folder.mkdir()
    try:
        disk.format()
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDisk(f"no disk can be mounted here: {error}") from error
    try:
        yield disk
    finally:
        disk.unmount()


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
