"""The disk of the spool: room, speed, and who may do what there."""

import os
import pwd
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

from agent.executor.account import Account
from agent.site.checks import Check, fail, failed, ok, warn
from agent.spool.budget import MIB, Bounds
from agent.spool.refusal import why_unusable

SLOW_PER_S: Final = 20.0  # a job costs a few; below this an agent feels it
PROBES: Final = 25
PROBE_S: Final = 1.0
PROBE_BYTES: Final = 4096
INODES_MIN: Final = 1000
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
PASSAGE: Final = stat.S_IXGRP | stat.S_IXOTH  # what `--user` opens, and no more


def there(spool: Path) -> Path:
    """The spool, or the folder in which it would be made."""
    places = (spool.absolute(), *spool.absolute().parents)
    return next(place for place in places if os.path.exists(place))  # noqa: PTH110 no error where we may not look


def folder_check(spool: Path) -> Check:
    place = there(spool)
    about = place.stat()
    if not place.is_dir():
        return fail("spool", f"{place} is no folder", "name another one with --spool")
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return fail(
            "spool",
            f"{place} belongs to {_owner(about.st_uid)} and is not writable for {_owner(os.geteuid())}",
            f"call this as the agent's user, or give it the folder: chown {_owner(os.geteuid())} {place}",
        )
    if place != spool.absolute():
        return ok("spool", f"{spool} is not there yet and can be made")
    if about.st_uid != os.geteuid():
        said = f"{place} belongs to {_owner(about.st_uid)}, and this is {_owner(os.geteuid())}"
        return warn("spool", said, "call this as the agent's user, or files come to belong to another")
    if about.st_mode & OTHERS & ~PASSAGE:
        return warn("spool", f"{place} is open to other users of this machine", f"chmod 700 {place}")
    return ok("spool", f"{place} is writable, and closed to others")


def account_check(account: Account, spool: Path) -> Check:
    """Above the spool, which the agent opens itself as far as is needed."""
    barrier = account.barrier(there(spool).parent if spool.exists() else there(spool))
    if barrier is None:
        return ok("user", f"jobs run as {account.name} (uid {account.uid})")
    return fail("user", f"{account.name} cannot pass through {barrier} to the spool", f"chmod o+x {barrier}")


def space_check(spool: Path, bounds: Bounds, used_mb: float) -> Check:
    disk = os.statvfs(there(spool))
    free = disk.f_bavail * disk.f_frsize
    said = f"{free / MIB:.0f} MB free, {used_mb:g} MB used by the spool"
    if disk.f_files and disk.f_favail < INODES_MIN:
        return fail("disk space", f"{said}, and {disk.f_favail} inodes left", "remove files from this disk")
    if free < bounds.floor_bytes + bounds.least_bytes:
        return fail(
            "disk space",
            f"{said}: nothing new is taken below {bounds.floor_bytes / MIB:.0f} MB (SPOOL_FLOOR_MB)",
            "free some space on this disk",
        )
    quota = bounds.quota_bytes
    if quota is None:
        return ok("disk space", said)
    said = f"{said} of {quota / MIB:.0f} (SPOOL_QUOTA_MB)"
    if used_mb * MIB > quota - bounds.least_bytes:
        mend = "let the backlog leave, or raise SPOOL_QUOTA_MB"
        return fail("disk space", f"{said}: nothing new is taken", mend)
    if quota - used_mb * MIB > free - bounds.floor_bytes:
        return warn("disk space", f"{said}: the disk is full before the quota is", "lower SPOOL_QUOTA_MB")
    return ok("disk space", said)


def speed_check(spool: Path) -> Check:
    """Durable writes of a page, one after another, in a file without a name: nothing is left of it."""
    place = there(spool)
    try:
        took_s = _fsyncs(place)
    except OSError as error:
        return failed("disk speed", why_unusable(place, error))
    rate = len(took_s) / sum(took_s)
    said = f"{rate:.0f} durable writes a second, the slowest took {max(took_s) * 1000:.0f} ms"
    if rate < SLOW_PER_S:
        return warn("disk speed", said, "a slow card or a busy disk: give the spool a better one")
    return ok("disk speed", said)


def _fsyncs(folder: Path) -> list[float]:
    """Seconds that each took. Raises OSError."""
    took_s: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        while len(took_s) < PROBES and sum(took_s) < PROBE_S:
            began_s = time.monotonic()
            file.write(os.urandom(PROBE_BYTES))
            os.fsync(file.fileno())
            took_s.append(time.monotonic() - began_s)
    return took_s


def _owner(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
