"""The model of the disk is ours; this is the kernel's: an ext4 loses its power in mid-work (I3)."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dev_tools.places import ROOT
from tests.crash_states.judge import Claim, flaws_in
from tests.crash_states.power import Disk, NoDisk, real_disk
from tests.crash_states.recorded import OPENING
from tests.crash_states.work import all_calls, expected
from tests.crash_states.works import WORKS

CUTS = 4
TRIES = 6
ROUNDS = 1
SEED = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        with real_disk(tmp_path) as made:
            yield made
    except NoDisk as error:
        pytest.skip(str(error))


def cut_off(name: str, disk: Disk, after: int, *sabotage: str) -> list[tuple[str, int, str]]:
    """Runs the work and cuts the power when so many marks have been said. Returns all that were said."""
    said: list[tuple[str, int, str]] = []
    for number in range(len(WORKS[name](ROUNDS).lives)):
        command = [sys.executable, "-m", "tests.crash_states.recorded", name, str(ROUNDS), str(number)]
        command += [str(disk.folder), "/dev/stdout", *sabotage]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as life:
            assert life.stdout is not None
            for line in life.stdout:  # each mark is read in the moment in which it is said
                word, call, note = line.rstrip("\n").split(" ", 2)
                said.append((word, int(call), note))
                if len(said) == after:
                    os.kill(life.pid, signal.SIGSTOP)  # see `shut_down`
                    disk.cut_power()
                    os.kill(life.pid, signal.SIGKILL)
        if len(said) >= after:
            break
    return said


def claim_of(name: str, said: list[tuple[str, int, str]]) -> Claim:
    begun = [call for word, call, _ in said if word == "begin"]
    confirmed = [call for word, call, _ in said if word == "done" and call != OPENING]
    note = next((note for word, call, note in said if call == OPENING), "")
    under_way = [call for call in begun if call not in confirmed]
    return Claim(expected(WORKS[name](ROUNDS), confirmed, under_way), note)


@pytest.mark.parametrize("name", sorted(WORKS))
def test_what_was_confirmed_before_the_cut_is_there_after_it(name: str, disk: Disk) -> None:
    draw = Random(SEED)  # noqa: S311 the same moments in every run
    marks_said = 2 * len(all_calls(WORKS[name](ROUNDS)))
    for _ in range(CUTS):
        said = cut_off(name, disk, draw.randint(1, marks_said))
        disk.boot()
        claim = claim_of(name, said)
        assert asyncio.run(flaws_in(WORKS[name](ROUNDS), claim, disk.folder)) == [], said[-1]
        disk.unmount()
        disk.format()


def test_the_cut_is_a_real_one(disk: Disk) -> None:
    """What is confirmed without an fsync is gone, unless the kernel happened to write it just before."""
    for _ in range(TRIES):
        said = cut_off("spool", disk, 12, "commits_unsynced")
        disk.boot()
        if asyncio.run(flaws_in(WORKS["spool"](ROUNDS), claim_of("spool", said), disk.folder)):
            return
        disk.unmount()
        disk.format()
    pytest.fail(f"{TRIES} cuts cost nothing of what was never synced")
