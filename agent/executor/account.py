"""Whose the jobs' processes are when the agent is root: an account that owns nothing of the agent's."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> "Account":
        """The account of this machine. Raises ValueError, which says what is wrong with it."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            raise ValueError(f"there is no account {name!r} on this machine; make one with useradd") from None
        if found.pw_uid == 0 or found.pw_gid == 0:
            raise ValueError(f"{name!r} is root, or of root's group; name an account without rights")
        return cls(name, found.pw_uid, found.pw_gid)

    def barrier(self, folder: Path) -> Path | None:
        """The first folder on the way down that these processes may not pass through. Raises OSError."""
        folder = folder.resolve()
        return next((place for place in (*reversed(folder.parents), folder) if not self._passes(place)), None)

    def _passes(self, place: Path) -> bool:
        about = place.stat()
        if about.st_uid == self.uid:
            return bool(about.st_mode & stat.S_IXUSR)
        return bool(about.st_mode & (stat.S_IXGRP if about.st_gid == self.gid else stat.S_IXOTH))


def give(folder: Path, account: Account) -> None:
    """A folder and all in it becomes the account's; itself last, so that until then nobody else is in it."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(place, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)
