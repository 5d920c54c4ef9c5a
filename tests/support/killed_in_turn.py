"""Runs a command again and again, each time on a copy of a folder, killed at another one of its writes.

    python -m tests.support.killed_in_turn FOLDER COPIES PROGRAM …

The copy's path is the last argument of the program, as `python -m` would run it. COPIES gets one folder for
each death, named by the number of the write that was not made, and one called `whole`, where it came to its
end. The exit code is the program's.
"""

import importlib
import os
import runpy
import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

CONNECT: Final = sqlite3.connect
WRITING: Final = os.O_WRONLY | os.O_RDWR
FILE_EVENTS: Final = ("os.rename", "os.remove")
STATEMENTS: Final = ("COMMIT", "VACUUM", "PRAGMA WAL_CHECKPOINT")


class Death:
    """Comes right before a write: what is named, removed or committed next stays as it is."""

    def __init__(self, number: int) -> None:
        self._left = number

    def notice(self, event: str, about: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS or (event == "open" and about[2] & WRITING):
            self._step()

    def connected(self, *about: Any, **named: Any) -> sqlite3.Connection:
        """Stands for `sqlite3.connect`."""
        connection = CONNECT(*about, **named)
        connection.set_trace_callback(self._statement)
        return connection

    def _statement(self, text: str) -> None:
        if text.upper().startswith(STATEMENTS):
            self._step()

    def _step(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def run(program: Sequence[str], death: Death) -> int:
    """In a child of this process. How it ended."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv[:] = list(program)
        sqlite3.connect = death.connected
        sys.addaudithook(death.notice)
        try:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def run_in_turn(folder: Path, copies: Path, program: Sequence[str]) -> int:
    importlib.import_module(f"{program[0]}.__main__")  # once, and not in each child
    number = 0
    while True:
        copy = copies / f"{number}"
        shutil.copytree(folder, copy)
        code = run([*program, str(copy)], Death(number))
        if code != -signal.SIGKILL:
            copy.rename(copies / "whole")
            return code
        number += 1


if __name__ == "__main__":
    sys.exit(run_in_turn(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
