"""Runs a work's lives under strace and gives back all that they did to the disk."""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT
from tests.crash_states.disk import Files
from tests.crash_states.judge import fast_folder, lay_out
from tests.crash_states.operations import Step
from tests.crash_states.recorded import RECOVERY
from tests.crash_states.trace import CALLS, Follower
from tests.crash_states.works import WORKS

LIFE_S: Final = 120
WHOLE: Final = 64 * 1024 * 1024  # bytes of a write that strace shows
KILLED: Final = {-signal.SIGKILL, 128 + signal.SIGKILL}


class NotRecorded(Exception):
    """The recorded program did not do what it should; its own words stand in the message."""


def can_trace() -> bool:
    """strace is there, and this machine lets it trace."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return tried.returncode == 0


def record(name: str, rounds: int, sabotage: str = "") -> list[Step]:
    """Every change of the folder, and every mark, of all lives in order. Raises `NotRecorded`."""
    with tempfile.TemporaryDirectory(prefix="recorded-") as made:
        place = Path(made).resolve()
        folder, marks = place / "disk", place / "marks"
        folder.mkdir()
        follower = Follower(folder, marks)
        for number, life in enumerate(WORKS[name](rounds).lives):
            trace = place / f"trace-{number}"
            arguments = [name, str(rounds), str(number), str(folder), str(marks), *filter(None, [sabotage])]
            ended = _traced(trace, arguments)
            if ended.returncode not in (KILLED if life.is_killed else {0}):
                raise NotRecorded(f"life {number} ended with {ended.returncode}: {ended.stderr[-2000:]}")
            follower.follow(trace)
            trace.unlink()
        return follower.steps


def record_recovery(name: str, rounds: int, files: Files, sabotage: str = "") -> tuple[list[Step], int]:
    """The same for one start on what a power cut has left, and where in it the start begins."""
    with tempfile.TemporaryDirectory(prefix="recorded-", dir=fast_folder()) as made:
        place = Path(made).resolve()
        folder, marks, trace = (place / part for part in ("disk", "marks", "trace"))
        lay_out(files, folder)
        follower = Follower(folder, marks)
        follower.begin_with(files)
        begins = len(follower.steps)
        arguments = [name, str(rounds), RECOVERY, str(folder), str(marks), *filter(None, [sabotage])]
        ended = _traced(trace, arguments)
        if ended.returncode:
            raise NotRecorded(f"recovery ended with {ended.returncode}: {ended.stderr[-2000:]}")
        follower.follow(trace)
        return follower.steps, begins


def _traced(trace: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    strace = ["strace", "-f", "-qq", "-xx", "-s", str(WHOLE), "-e", "signal=none", "-e", f"trace={CALLS}"]
    program = [sys.executable, "-m", "tests.crash_states.recorded", *arguments]
    return subprocess.run(
        [*strace, "-o", trace, *program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIFE_S,
        check=False,
    )
