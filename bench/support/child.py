"""A process of a bench's own that is asked by lines."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.support.work import JobWentWrong, surroundings
from dev_tools.places import ROOT

LOG_TAIL: Final = 2000  # characters shown when it ended


class Child:
    """`python -m` of one of our modules, which answers each line with a line of JSON."""

    def __init__(self, words: Sequence[str], log: Path) -> None:
        """`words`: the module and its arguments."""
        self._module, self._log = words[0], log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words], env=surroundings(), cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    def said(self, line: str) -> dict[str, Any]:
        """Its answer to the line. Raises `JobWentWrong` when it has ended."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise JobWentWrong(f"{self._module} ended:\n{self._log.read_text()[-LOG_TAIL:]}")
        told: dict[str, Any] = json.loads(answer)
        return told

    def close(self, within_s: float) -> None:
        """An empty line lets it end by itself."""
        self._process.communicate("\n", timeout=within_s)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
