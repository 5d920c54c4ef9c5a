"""Processes that we start: their output in a file, ended by pid, and none left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

GRACE_S: Final = 10.0
PAUSE_S: Final = 0.02


class Running:
    """One process in a session of its own, so that Ctrl-C at the terminal is ours to pass on."""

    def __init__(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], log: Path, cwd: Path | None = None
    ) -> None:
        """Starts it; output is appended to `log`. Raises OSError when there is no such program."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log: Final = log
        self.command: Final = [str(word) for word in command]
        with log.open("ab") as out:
            self._popen: Final = subprocess.Popen(
                self.command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._popen.poll()

    def is_running(self) -> bool:
        return self.exit_code is None

    def text(self) -> str:
        """All output so far."""
        return self.log.read_text(errors="replace")

    def wait(self, within_s: float = GRACE_S) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        return self._popen.wait(within_s)

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        """`kill -9`; returns when it is gone. What it had started itself goes on."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, within_s: float = GRACE_S) -> int:
        """SIGTERM, and SIGKILL when it has not gone within `within_s`. Returns the exit code."""
        self._popen.terminate()
        try:
            return self._popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.stop()


def start_ticks(pid: int) -> int | None:
    """When `pid` started, in clock ticks since boot: with the pid, a name that is never given twice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the program's name may hold spaces and brackets
    return None if fields[0] == "Z" else int(fields[19])


def kill_and_wait(pid: int, within_s: float = GRACE_S) -> None:
    """SIGKILL to a process that need not be our child; returns when it is gone or a zombie."""
    started = start_ticks(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    end_s = time.monotonic() + within_s
    while started is not None and start_ticks(pid) == started and time.monotonic() < end_s:
        time.sleep(PAUSE_S)


def living_below(folder: Path) -> list[int]:
    """The processes whose working directory lies in `folder`: jobs that outlived their agent, for one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def clear_below(folder: Path) -> list[int]:
    """Kills every process whose working directory lies in `folder`; returns their pids."""
    found = living_below(folder)
    for pid in found:
        kill_and_wait(pid)
    return found
