"""What it is called when the disk refuses the spool, and how to mend it."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from agent.errors import SpoolUnusable


def why_unusable(path: Path, error: OSError) -> str:
    """One line that names the folder, what is wrong and the mend."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the spool {path} is full; free some space, then start again. What it holds is kept."
        )
    if error.errno == errno.EIO:
        return (
            f"the disk of the spool {path} answers with I/O errors; check its health (dmesg, smartctl), "
            "then start again. What it holds is kept."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"the spool {path} is not writable ({error.strerror}); "
            "give this user the folder (chown, mount rw), or name another one with --spool."
        )
    return f"the spool {path} cannot be used: {error.strerror}; name another folder with --spool."


@contextlib.contextmanager
def unusable(path: Path) -> Iterator[None]:
    """What the disk says becomes `SpoolUnusable`."""
    try:
        yield
    except OSError as error:
        raise SpoolUnusable(why_unusable(path, error)) from error
