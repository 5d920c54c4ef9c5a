"""Reading what a job left behind: files that it may have made into anything."""

import os
import stat
from pathlib import Path

from agent.executor import json_text
from agent.executor.errors import JobFailed

NAMES = ("result.json", "result.out")


def weight(directory: Path) -> int:
    """Bytes that there are to read, so that the caller can choose where to do it."""
    return sum(_size(directory / name) for name in NAMES)


def content(path: Path, most_bytes: int) -> bytes:
    """The file's bytes; empty if it is no regular file of the job's. Raises `JobFailed` for a larger one."""
    try:
        # A job can put a pipe here, whose opening would otherwise wait for a writer; or a link to a file that
        # only we may read.
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    if not _is_the_jobs(os.fstat(number), path.parent):
        os.close(number)
        return b""
    with os.fdopen(number, "rb") as file:
        found = file.read(most_bytes + 1)
    if len(found) > most_bytes:
        raise too_large(most_bytes)
    return found


def document(path: Path, most_bytes: int) -> bytes:
    """A file that must hold one JSON document; empty if there is none. Raises `JobFailed`."""
    found = content(path, most_bytes).strip()
    if found:
        try:
            json_text.parse(found)
        except ValueError as error:
            raise JobFailed("BadResult", f"{path.name} is not JSON: {error}") from None
    return found


def too_large(most_bytes: int) -> JobFailed:
    return JobFailed(
        "ResultTooLarge",
        f"the result is larger than {most_bytes} bytes ({most_bytes / 1024 / 1024:g} MiB); "
        "store it elsewhere and return where it is",
    )


def _is_the_jobs(file: os.stat_result, directory: Path) -> bool:
    """A hard link to another's file is not, where the job has an account of its own."""
    owner = directory.stat().st_uid
    return stat.S_ISREG(file.st_mode) and (owner in (file.st_uid, os.geteuid()))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
