"""A program that cannot wait by itself: a shell holds it back, takes its limits, and becomes it."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.executor.directory import JobDirectory
from agent.executor.languages.gate import gated

SHOWN = "ulimit -c; ulimit -d; ulimit -f; ulimit -n; cat"


@pytest.fixture
def directory(tmp_path: Path) -> JobDirectory:
    made = JobDirectory(tmp_path, "job")
    made.make()
    made.write("told", b"by file")
    return made


def run(directory: JobDirectory, words: bytes) -> subprocess.CompletedProcess[bytes]:
    command = gated(directory, ["/bin/sh", "-c", SHOWN], standard_input="told")
    return subprocess.run(command, cwd=directory.path, input=words, capture_output=True, check=False)


def test_it_has_the_limits_before_it_begins_and_no_word_of_them_to_read(directory: JobDirectory) -> None:
    ended = run(directory, b"-c=0 -d=500000 -u=5000 -f=1000 -n=99\n")
    assert ended.stdout.decode().split()[:4] == ["0", "500000", "1000", "99"]
    assert ended.stdout.endswith(b"by file")
    assert ended.returncode == 0


def test_it_never_begins_when_nobody_opens_the_gate(directory: JobDirectory) -> None:
    """The agent died in between."""
    ended = run(directory, b"")
    assert (ended.stdout, ended.returncode) == (b"", 1)


def test_it_never_begins_without_a_limit_that_it_must_take(directory: JobDirectory) -> None:
    ended = run(directory, b"-n=nonsense\n")
    assert ended.stdout == b""
    assert ended.returncode != 0


def test_it_becomes_the_program(directory: JobDirectory) -> None:
    """One process: its signal reaches the program itself."""
    command = gated(directory, ["/bin/sh", "-c", "echo $$"])
    started = subprocess.Popen(command, cwd=directory.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said, _ = started.communicate(b"\n")
    assert int(said) == started.pid
    assert os.access(directory.path / "gate.sh", os.R_OK)
