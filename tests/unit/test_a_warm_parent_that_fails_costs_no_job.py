"""Warm starts are an advantage and never a condition: whatever becomes of the parent, the job runs."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.executor import proc
from agent.executor.directory import JobDirectory
from agent.executor.languages.python import Python
from agent.executor.limits import Limits
from agent.executor.process import Executor, Interpreters
from agent.executor.warm import runner
from tests.support.until import until
from tests.unit.executing import Running, Site, entries, has_ended, task

PARENT = "import os\ndef main(): return os.getppid()"


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def warm_ones() -> list[int]:
    """The warm parent and the child that it keeps ahead, as they came."""
    mine = children_of(os.getpid())
    found = [pid for pid in mine if b"zygote.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sorted(found, key=lambda pid: proc.start_ticks(pid) or 0)


def exit_code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def parent_of(site: Site) -> int:
    """Once its child ahead is there as well."""
    await site.warmed_up()
    parent, _child = await until(lambda: len(found := warm_ones()) == 2 and found)
    return parent


async def _is_cold(site: Site) -> bool:
    return not await site.is_warm()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_one_that_is_killed_or_stopped_is_given_up(tmp_path: Path, number: signal.Signals) -> None:
    site = Site(tmp_path, warm=True)
    parent = await parent_of(site)
    os.kill(parent, number)
    await until(lambda: _is_cold(site))  # the child that was there before may serve once more
    assert warm_ones() == []


async def test_one_that_had_served_is_replaced(tmp_path: Path) -> None:
    site = Site(tmp_path, warm=True)
    for _ in range(2):
        os.kill(await parent_of(site), signal.SIGKILL)
        await until(lambda: _is_cold(site))
    site.executor.close()
    assert warm_ones() == []


async def test_a_child_that_was_killed_while_it_waited_is_replaced(tmp_path: Path) -> None:
    site = Site(tmp_path, warm=True)
    await parent_of(site)
    os.kill(warm_ones()[1], signal.SIGKILL)
    assert not await site.is_warm()
    await site.warmed_up()
    site.executor.close()
    assert warm_ones() == []


async def test_what_it_began_runs_on_without_it(tmp_path: Path) -> None:
    site, running = Site(tmp_path, warm=True), Running()
    await site.warmed_up()
    code = "import time, os\ndef main():\n    print(os.getpid())\n    time.sleep(0.5)\n    os._exit(7)"
    async with asyncio.TaskGroup() as group:
        ran = group.create_task(site.run(task(code, "python3"), running))
        await running.says("\n")
        site.executor.close()
    assert ran.result().outcome.exit_code == 7
    assert has_ended(int(running.log))


async def test_its_jobs_are_our_own_children_and_none_is_left(tmp_path: Path) -> None:
    site = Site(tmp_path, warm=True)
    children, files = set(children_of(os.getpid())), len(entries(Path("/proc/self/fd")))
    await parent_of(site)
    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(site.run(task(PARENT, "python3", job_id=f"job-{number}")))
            for number in range(5)
        ]
    assert {job.result().document for job in jobs} == {os.getpid()}
    site.executor.close()
    assert set(children_of(os.getpid())) == children
    assert len(entries(Path("/proc/self/fd"))) == files


async def test_limits_that_somebody_put_on_it_reach_no_job(tmp_path: Path) -> None:
    site = Site(tmp_path, warm=True)
    resource.prlimit(await parent_of(site), resource.RLIMIT_NOFILE, (9, 9))
    await until(lambda: _is_cold(site))  # the child that was there before may serve once more


async def test_an_interpreter_that_cannot_start_or_serve_is_tried_again_later(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text(f'#!/bin/sh\n[ "$3" = -m ] && exec {sys.executable} "$@"\nexit 9\n')
    odd.chmod(0o755)
    site = Site(tmp_path / "work", interpreters=Interpreters(None, str(odd)), warm=True)
    for _ in range(3):
        assert not await site.is_warm()
    assert warm_ones() == []
    none = Site(tmp_path / "work", interpreters=Interpreters(None, "/no/such/python"), warm=True)
    assert (await none.python("")).document["name"] == "InterpreterMissing"


async def test_nothing_runs_when_nobody_opens_the_gate(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path, "job")
    directory.make()
    code = "open('ran', 'w')\ndef main(): pass"
    argv = Python(sys.executable).prepare(task(code, "python3"), {}, directory)
    env = {"PATH": os.environ["PATH"], "HOME": "/", proc.MARK: str(directory.path)}
    warm = runner.Warm(sys.executable, {"PATH": os.environ["PATH"], "HOME": "/"}, None, -1)
    started = await until(lambda: warm.start(argv, directory.path, env))
    started.gate.close()  # as the kernel does when the agent dies
    assert has_ended(started.pid)
    assert exit_code(started.pid) == 1
    assert not (directory.path / "ran").exists()
    started.output.close()
    warm.close()


async def test_an_environment_that_cannot_be_set_is_told_as_ever(tmp_path: Path) -> None:
    site = Site(tmp_path, warm=True)
    await site.warmed_up()
    assert (await site.python("", env={"A": "\0"})).document["name"] == "BadEnvironment"
    large = {f"A{number}": "x" * 100_000 for number in range(3)}
    assert (await site.python("def main(): return 1", env=large)).document == 1
    assert await site.is_warm()
    site.executor.close()


AGENT = """
import asyncio, sys
from pathlib import Path
from agent.executor import proc
from agent.executor.limits import Limits
from agent.executor.process import Executor
from agent.executor.task import Stop, Task

def task(code): return Task(
    job_id="job", language="python3", code=code, args=b"{}", env={}, timeout_s=None, path=None)
async def main():
    executor = Executor(Path(sys.argv[1]), Limits(), warm=True)
    said = []
    while "zygote.py" not in "".join(said):
        await executor.run(task("def main(): print(open('/proc/self/cmdline').read())"), said.append, Stop())
    print(executor._warm._parent._process.pid, flush=True)
    await executor.run(task(sys.argv[2]), lambda text: print(text, end="", flush=True), Stop())
asyncio.run(main())
"""
DAEMON = """
import os, signal, time
def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:  # it never runs another program, so its first environment is its parent's
            print(os.getpid(), flush=True)
            print("up", flush=True)
            time.sleep(300)
        os._exit(0)
    time.sleep(300)
"""


def test_what_a_dead_agent_s_parent_began_is_found_by_its_mark(tmp_path: Path) -> None:
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path), DAEMON], stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    said = iter(agent.stdout.readline, "up\n")
    parent, *job = [int(line) for line in said if line.strip().isdecimal()]  # beside the agent's own log
    agent.kill()
    agent.wait()
    agent.stdout.close()
    assert has_ended(parent)
    assert len(job) == 2
    assert not any(has_ended(pid, within_s=0) for pid in job)
    (tmp_path / "job.pid").unlink()  # the mark alone has to do
    assert Executor(tmp_path, Limits()).kill_leftovers() == 1
    assert all(has_ended(pid) for pid in job)
    assert entries(tmp_path) == []
