"""One folder per broker of ours, below `.run/broker`; it names its processes, so a later run can end them.

A folder belongs to the process that made it. When that process was killed (kill -9, a crash of the machine),
the next broker that starts finds the folder without an owner, ends what its notes name, and removes it.
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dev_tools.places import RUN
from dev_tools.processes import kill_and_wait, start_ticks

FOLDERS: Final = RUN / "broker"
OWNER: Final = "owner"
PROCESSES: Final = "processes"
CONTAINER: Final = "container"
BESIDE: Final = "beside"


def new_folder() -> Path:
    """A folder of this process, after a sweep of those whose owners are gone."""
    FOLDERS.mkdir(parents=True, exist_ok=True)
    for abandoned in _abandoned():
        _end_processes(abandoned)
        for line in _lines(abandoned / BESIDE):
            shutil.rmtree(line, ignore_errors=True)
        if not (abandoned / CONTAINER).exists():  # a container is removed by whoever speaks to the engine
            shutil.rmtree(abandoned, ignore_errors=True)
    folder = FOLDERS / secrets.token_hex(4)
    folder.mkdir(mode=0o700)
    unseen = folder / f"{OWNER}.new"  # one that is half written looks like nobody's
    _note(unseen, os.getpid())
    unseen.rename(folder / OWNER)
    return folder


def note_process(folder: Path, pid: int) -> None:
    """Remembers `pid` as one to end with the folder."""
    _note(folder / PROCESSES, pid)


def note_beside(folder: Path, place: Path) -> None:
    """Remembers a folder elsewhere as one to remove with this one."""
    with (folder / BESIDE).open("a") as file:
        file.write(f"{place}\n")


def abandoned_containers() -> Iterator[tuple[Path, str]]:
    """Folders without an owner and the ids of the containers they name. The caller removes both."""
    for folder in _abandoned():
        if (folder / CONTAINER).exists():
            yield folder, (folder / CONTAINER).read_text()


def _note(path: Path, pid: int) -> None:
    with path.open("a") as file:
        file.write(json.dumps([pid, start_ticks(pid)]) + "\n")


def _living(path: Path) -> list[int]:
    """The noted processes that still are the ones that were noted."""
    noted = [json.loads(line) for line in _lines(path)]
    return [pid for pid, started in noted if started is not None and start_ticks(pid) == started]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:  # never written, or swept away by another run in this moment
        return []


def _abandoned() -> list[Path]:
    if not FOLDERS.exists():
        return []
    return [
        folder for folder in FOLDERS.iterdir() if (folder / OWNER).exists() and not _living(folder / OWNER)
    ]


def _end_processes(folder: Path) -> None:
    for pid in _living(folder / PROCESSES):
        kill_and_wait(pid)
