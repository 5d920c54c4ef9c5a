"""Each ends in an error that says which limit it met and how to raise it, and leaves nothing behind.

All of them are bounded: were the limit not kept, they would end by themselves.
"""

import json
import re
from pathlib import Path

import pytest

from agent.executor import proc
from agent.executor.limits import Limits
from tests.unit.executing import Ran, Site, entries

SMALL = Limits(processes=40, folder_mb=4, file_mb=3, open_files=40, kill_grace_s=0.2, output_bytes=20_000)


def strays(mark: Path) -> list[str]:
    """The command lines of whatever still carries the mark of a job below this folder."""
    marks = ((pid, proc.mark_of(pid) or "") for pid in proc.pids())
    found = [pid for pid, text in marks if text.startswith(str(mark))]
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in found]


def is_clean(work: Path) -> bool:
    return not strays(work) and not entries(work)


def message(ran: Ran, name: str, mend: str) -> str:
    """The error's message, which says how to go on."""
    assert not ran.outcome.success
    assert ran.outcome.canceled_by is None
    assert ran.document["name"] == name, ran.document
    assert mend in ran.document["message"]
    return str(ran.document["message"])


BOMBS = {
    "one generation": "for i in $(seq 150); do sleep 20 & done; wait",
    "each in a session of its own": "for i in $(seq 150); do setsid sleep 20 & done; wait",
    "orphans all": "for i in $(seq 150); do (setsid sleep 20 > /dev/null &) ; done; sleep 20",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS.keys())
async def test_a_fork_bomb(tmp_path: Path, code: str) -> None:
    ran = await Site(tmp_path, SMALL).bash(code)
    said = message(ran, "ProcessLimit", "raise processes under [limits]")
    assert "its limit of 40 processes and threads" in said
    assert is_clean(tmp_path)


@pytest.mark.parametrize("is_warm", [False, True])
async def test_a_bomb_of_threads(tmp_path: Path, *, is_warm: bool) -> None:
    site = Site(tmp_path, SMALL, warm=is_warm)
    if is_warm:
        await site.warmed_up()
    code = """
import threading, time
def main():
    for _ in range(150): threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    time.sleep(20)
"""
    message(await site.python(code), "ProcessLimit", "raise processes")
    assert is_clean(tmp_path)
    site.executor.close()


async def test_a_memory_hog_in_one_process(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(memory_mb=150)).python("def main(): return len(bytearray(300 << 20))")
    assert "its limit of 150 MB" in message(ran, "MemoryError", "raise memory_mb under [limits]")
    assert is_clean(tmp_path)


async def test_a_memory_hog_of_many_processes(tmp_path: Path) -> None:
    code = """
import os, time
def main():
    for _ in range(4):
        if os.fork() == 0:
            kept = bytearray(os.urandom(1 << 20)) * 60
            time.sleep(20)
            os._exit(0)
    time.sleep(20)
"""
    message(await Site(tmp_path, Limits(memory_mb=150)).python(code), "MemoryLimit", "raise memory_mb")
    assert is_clean(tmp_path)


async def test_what_many_processes_share_is_counted_once(tmp_path: Path) -> None:
    code = """
import os, time
kept = bytearray(os.urandom(1 << 20)) * 60
def main():
    children = [os.fork() or (time.sleep(0.6), os._exit(0)) for _ in range(4)]
    for _ in children: os.wait()
    return "whole"
"""
    assert (await Site(tmp_path, Limits(memory_mb=150)).python(code)).document == "whole"


async def test_a_flood_of_output(tmp_path: Path) -> None:
    ran = await Site(tmp_path, SMALL).bash("timeout 20 yes 'all work and no play'")
    assert "of which the log keeps 20000" in message(ran, "OutputLimit", "print less")
    assert len(ran.log) < 21_000
    assert re.search(r"bytes dropped: log limit", ran.log)
    assert is_clean(tmp_path)


async def test_a_job_that_ignores_the_request_to_stop(tmp_path: Path) -> None:
    ran = await Site(tmp_path, SMALL).bash("trap '' TERM; sleep 20 & wait; sleep 20", timeout_s=0.3)
    assert "timeout after exceeding job-specific duration limit" in ran.document["message"]
    assert is_clean(tmp_path)


@pytest.mark.parametrize("output", ["", "> /dev/null 2>&1 < /dev/null"])
async def test_a_daemon_that_outlives_its_job(tmp_path: Path, output: str) -> None:
    ran = await Site(tmp_path, SMALL).bash(f"(setsid bash -c 'cd /; sleep 20 & wait' {output} &); sleep 0.1")
    assert ran.outcome.success
    assert is_clean(tmp_path)


async def test_a_folder_that_fills_up(tmp_path: Path) -> None:
    code = "for i in $(seq 8); do head -c 1M /dev/zero > $i; done; sleep 20"
    said = message(await Site(tmp_path, SMALL).bash(code), "FolderLimit", "raise folder_mb under [limits]")
    assert "limit of 4 MB" in said
    assert is_clean(tmp_path)


async def test_a_folder_of_countless_empty_files(tmp_path: Path) -> None:
    code = "mkdir many; cd many; touch $(seq 5000); sleep 20"
    message(await Site(tmp_path, SMALL).bash(code), "FolderLimit", "raise folder_mb")
    assert is_clean(tmp_path)


async def test_a_file_that_grows_too_large(tmp_path: Path) -> None:
    ran = await Site(tmp_path, SMALL).python("def main(): open('big', 'wb').write(bytes(4 << 20))")
    assert "may have 3 MB" in message(ran, "OSError", "raise file_mb")
    ran = await Site(tmp_path, SMALL).bash("head -c 4M /dev/zero > big")
    assert "may have 3 MB" in message(ran, "ExecutionErr", "raise file_mb")


async def test_files_opened_without_end(tmp_path: Path) -> None:
    code = "def main():\n    kept = []\n    while True: kept.append(open('/dev/null'))"
    ran = await Site(tmp_path, SMALL).python(code)
    assert "may hold 40 files open" in message(ran, "OSError", "raise open_files under [limits]")


async def test_an_error_that_names_no_limit_is_as_it_was(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(memory_mb=100))
    assert (await site.python("def main(): raise ValueError('no')")).document["message"] == "no"
    assert json.loads((await site.bash("echo '[1]' > result.json; exit 1")).outcome.result) == [1]


async def test_a_hard_link_takes_its_room_once(tmp_path: Path) -> None:
    code = "head -c 1M /dev/urandom > a; for i in $(seq 9); do ln a a$i; done; sleep 0.6; echo fits"
    assert (await Site(tmp_path, Limits(folder_mb=2)).bash(code)).document == "fits"
