"""A job's own directory: made before it starts, removed after it ended, found again after a crash."""

import asyncio
import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from agent.executor import proc
from agent.executor.account import Account, give
from agent.executor.errors import JobFailed

log = structlog.get_logger()

NOTE: Final = ".pid"  # ends the name of the note beside a job's directory, where no job can write it
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class JobDirectory:
    def __init__(self, work_dir: Path, job_id: str) -> None:
        """Raises `JobFailed` for an id that is no plain name: it must not lead out of `work_dir`."""
        if not _JOB_ID.fullmatch(job_id):
            raise JobFailed("BadJobId", f"the job id {job_id!r} is not made of letters, digits, - and _ only")
        self.path = work_dir / job_id
        self._files: list[Path] = []
        self._given = False

    def make(self) -> None:
        """Raises OSError. What an earlier run of the same job left there is gone afterwards."""
        try:
            self.path.mkdir(mode=0o700)
        except FileNotFoundError:
            self.path.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            shutil.rmtree(self.path)
            self.path.mkdir(mode=0o700)
        (self.path / "shared").mkdir()

    def write(self, name: str, content: bytes) -> None:
        """Write a file below the directory. Raises OSError."""
        path = self.path / name
        if "/" in name:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self._files.append(path)

    def link(self, name: str, target: str) -> None:
        """Let `name` in the directory lead to `target`. Raises OSError."""
        path = self.path / name
        path.symlink_to(target)
        self._files.append(path)

    def note_process(self, pid: int, boot_id: str) -> None:
        """Leave word for the next life of the agent: this group runs because of this job."""
        _note(self.path).write_text(f"{pid} {proc.start_ticks(pid)} {boot_id}")

    def give(self, account: Account) -> None:
        """From now on it is the account's, and nothing in it is to be believed. Raises OSError."""
        give(self.path, account)
        self._given = True

    async def remove(self) -> None:
        """Never raises OSError: what could not be removed goes at the next start."""
        try:
            if self._given:  # a name in it may lead elsewhere by now; `rmtree` follows none
                await asyncio.to_thread(remove_tree, self.path)
                return
            for path in self._files:
                path.unlink()
            (self.path / "shared").rmdir()
            self.path.rmdir()
        except OSError:  # the job changed something in it
            await asyncio.to_thread(remove_tree, self.path)
        finally:
            _drop(_note(self.path))


def remove_tree(path: Path) -> None:
    """Remove a whole tree, also one whose directories its job had closed to us."""
    shutil.rmtree(path, ignore_errors=True)
    if not path.exists():
        return
    if os.geteuid() == 0:  # no mode stops root; and chmod would follow what is exchanged for a link meanwhile
        log.warning("job.directory_left", path=str(path))
        return
    with contextlib.suppress(OSError):  # a disk that fails
        path.chmod(0o700)
        for folder, names, _ in os.walk(path):
            for one in (Path(folder, name) for name in names):
                if not one.is_symlink():  # chmod would change what it points to
                    one.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        log.warning("job.directory_left", path=str(path))


def noted_process(path: Path, boot_id: str) -> tuple[int, int] | None:
    """The pid and start ticks noted of a job's directory, if they were noted in this boot."""
    try:
        pid, ticks, boot = _note(path).read_text().split()
        return (int(pid), int(ticks)) if boot == boot_id else None
    except (OSError, ValueError):
        return None


def drop_notes(work_dir: Path) -> None:
    """Once nothing runs of which they tell."""
    for note in work_dir.glob(f"*{NOTE}"):
        _drop(note)


def _drop(note: Path) -> None:
    with contextlib.suppress(OSError):  # what a failing disk keeps is overwritten, or names nothing that runs
        note.unlink(missing_ok=True)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}{NOTE}")


def job_directories(work_dir: Path) -> Iterable[Path]:
    try:
        return [path for path in work_dir.iterdir() if path.is_dir() and _JOB_ID.fullmatch(path.name)]
    except FileNotFoundError:
        return []


def not_made(error: OSError, path: Path) -> JobFailed:
    """What a person at the site can do about a directory that could not be made or written."""
    mend = "free some space" if error.errno in _FULL else "check that the folder above it is writable"
    return JobFailed(
        "JobDirectoryFailed",
        f"the job's directory {path} could not be made: {error.strerror}; {mend}. The job was not run.",
    )
