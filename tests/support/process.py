"""Agents and bridges as real processes, with their logs in files, for tests that kill them."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT
from dev_tools.processes import Running, clear_below

# Settings of the person or CI that runs the tests must not reach the product under test.
OURS: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPYCACHEPREFIX", "PYTHONHASHSEED")
COVERAGE: Final = "COVERAGE_"  # measures these processes too


class Processes:
    """Starts them below one folder; `end` leaves none behind, not even jobs that outlived their agent."""

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._running: list[Running] = []

    def agent(self, env: Mapping[str, str], spool: Path, *arguments: str, name: str = "agent") -> Running:
        """`python -m agent --spool SPOOL …`; its log is `NAME.log`, appended to over restarts."""
        return self._start("agent", ["--spool", str(spool), *arguments], env, name)

    def bridge(self, env: Mapping[str, str], *arguments: str, name: str = "bridge") -> Running:
        """`python -m bridge …`, e.g. with the argument "serve"."""
        return self._start("bridge", list(arguments), env, name)

    def end(self) -> None:
        for process in self._running:
            if process.is_running():
                process.kill()
        clear_below(self.folder)

    def logs(self) -> str:
        """Every log so far, for a failing test to show."""
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def _start(self, module: str, arguments: list[str], env: Mapping[str, str], name: str) -> Running:
        inherited = {key: value for key, value in os.environ.items() if key in OURS or key.startswith(COVERAGE)}
        process = Running(
            [sys.executable, "-m", module, *arguments],
            env={**inherited, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **env},
            log=self.folder / f"{name}.log",
            cwd=self.folder,
        )
        self._running.append(process)
        return process


@contextmanager
def processes_below(folder: Path) -> Iterator[Processes]:
    started = Processes(folder)
    try:
        yield started
    finally:
        started.end()
