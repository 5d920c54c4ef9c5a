"""Real disks that fill up, break, refuse and lose their power. Those of a test's own need root."""

import fcntl
import os
import resource
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH: Final = 2  # what was not synced is gone, the file system's journal as well

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a disk of its own")


def shut_down(folder: Path) -> None:
    """What was not fsynced is gone, and every write from now on is an I/O error.

    The kernel lets an fsync that is under way in this moment return as if it had been done. Without power
    nobody would hear of it: a test of what was confirmed stops its program before, with SIGSTOP.
    """
    root = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(root, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    finally:
        os.close(root)


def mount_image(image: Path, folder: Path, options: str) -> None:
    """On a device of its own each time: programs may still have files of the one before open."""
    device = subprocess.check_output(["losetup", "--find", "--show", image], text=True).strip()
    _run("mount", "-o", options, device, folder)
    _run("losetup", "--detach", device)  # once it is mounted no more


def unmount(folder: Path) -> None:
    """Also while programs have files of it open."""
    _run("umount", "--lazy", folder)


class LoopDisk:
    """An ext4 of its own in a file: the kernel's real one, with its real faults."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder: Final = folder
        self._image: Final = image

    def mount(self) -> None:
        mount_image(self._image, self.folder, "errors=remount-ro")

    def cut_power(self) -> None:
        shut_down(self.folder)

    def turn_read_only(self) -> None:
        """As the kernel does it when it meets an error in the file system, whoever has files open."""
        device = subprocess.check_output(["findmnt", "-no", "SOURCE", str(self.folder)], text=True).strip()
        Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("told to by a test")

    def put_back(self) -> None:
        """Unplugged and plugged in again, while programs still have their files of before open."""
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        unmount(self.folder)


@contextmanager
def loop_disk(place: Path, size_mb: int) -> Iterator[LoopDisk]:
    image, folder = place / "disk.img", place / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(size_mb * 1024 * 1024)
    _run("mkfs.ext4", "-q", "-F", image)
    disk = LoopDisk(image, folder)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


@contextmanager
def memory_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs over `folder`; `size` as mount takes it, such as "48m"."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        unmount(folder)


def fill(ballast: Path, leave: int = 0) -> None:
    """Take all the disk but `leave` bytes."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - leave))


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """In this process no file takes anything beyond `size` bytes: a disk that refuses, without root."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
