"""Between the start of its process and the note of it, a job waits at a gate."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.executor.directory import JobDirectory
from agent.executor.languages.bash import Bash
from agent.executor.languages.language import Language
from agent.executor.languages.python import Python
from tests.unit.executing import task

CASES = [
    (Bash("/bin/bash"), "touch ran"),
    (Python(sys.executable), "open('ran', 'w')\ndef main(): pass"),
]


def ran_with(language: Language, code: str, line: bytes, tmp_path: Path) -> bool:
    directory = JobDirectory(tmp_path, "job")
    directory.make()
    argv = language.prepare(task(code), {}, directory)
    subprocess.run(argv, cwd=directory.path, input=line, check=False, timeout=20)
    return (directory.path / "ran").exists()


@pytest.mark.parametrize(("language", "code"), CASES)
def test_it_ends_when_nobody_opens_the_gate(tmp_path: Path, language: Language, code: str) -> None:
    assert not ran_with(language, code, b"", tmp_path)


@pytest.mark.parametrize(("language", "code"), CASES)
def test_it_runs_when_somebody_does(tmp_path: Path, language: Language, code: str) -> None:
    assert ran_with(language, code, b"\n", tmp_path)


LIMITED = [
    (Bash("/bin/bash"), "[ $(ulimit -u) = 77 ] && [ $(ulimit -H -f) = 2048 ] && touch ran"),
    (
        Python(sys.executable),
        (
            "from resource import *\n"
            "if [getrlimit(kind)[1] for kind in (RLIMIT_NPROC, RLIMIT_FSIZE)] == [77, 2048 * 1024]:\n"
            "    open('ran', 'w')\n"
            "def main(): pass"
        ),
    ),
]


@pytest.mark.parametrize(("language", "code"), LIMITED)
def test_it_puts_on_itself_what_it_is_told_at_the_gate(tmp_path: Path, language: Language, code: str) -> None:
    assert ran_with(language, code, b"-c=0 -u=77 -f=2048\n", tmp_path)
