"""On a real cgroup2 mount. Here it may come without controllers: then only what needs none is run."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import read
from agent.errors import ConfigError
from agent.executor import cgroup
from agent.executor.cgroup import Cgroup, Cgroups
from agent.executor.limits import Limits
from agent.executor.process import Executor
from tests.unit.executing import Ran, Running, entries, has_ended, task

SETTINGS = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h"}


def mount() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line and os.access(line.split()[4], os.W_OK):
            return Path(line.split()[4])
    return None


@pytest.fixture
def base() -> Iterator[Path]:
    """A group of our own, as if it had been delegated."""
    root = mount()
    if root is None:
        pytest.skip("no cgroup2 mount that may be written")
    path = root / f"orvanta-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"cgroup2 cannot be divided here: {error}")
    yield path
    for inner in path.iterdir():
        if inner.is_dir():
            Cgroup(inner).end()
    path.rmdir()


def groups_in(base: Path) -> list[str]:
    return [path.name for path in base.iterdir() if path.is_dir()]


async def ran(executor: Executor, code: str, **more: object) -> Ran:
    running = Running()
    outcome = await executor.run(task(code, **more), running.sink, running.stop)
    return Ran(outcome, running.log)


async def test_a_daemon_without_mark_parent_or_session_is_found(tmp_path: Path, base: Path) -> None:
    executor = Executor(tmp_path, Limits(), cgroup=base)
    daemon = "env -i setsid bash -c 'echo $$; cd /; (sleep 60 > /dev/null 2>&1 &)' < /dev/null"
    found = await ran(executor, f"{daemon}; cat /proc/self/cgroup")
    assert f"0::/{base.name}/orvanta-" in found.log
    assert groups_in(base) == []
    assert (await ran(executor, "sleep 60 & sleep 60", timeout_s=0.2)).outcome.canceled_by == "timeout"
    assert groups_in(base) == []


async def test_groups_that_a_job_makes_below_its_own_go_with_it(tmp_path: Path, base: Path) -> None:
    own = f"{base}/$(ls {base} | grep ^orvanta)"
    code = f"mkdir -p {own}/a/b; (echo 0 > {own}/a/b/cgroup.procs; sleep 60 &) ; echo done"
    assert (await ran(Executor(tmp_path, Limits(), cgroup=base), code)).document == "done"
    assert groups_in(base) == []


async def test_a_bomb_is_counted_by_its_group(tmp_path: Path, base: Path) -> None:
    executor = Executor(tmp_path, Limits(processes=30), cgroup=base)
    code = "for i in $(seq 80); do env -i setsid sleep 20 & done; wait"
    found = await ran(executor, code)
    if "pids" in Cgroups(base, tmp_path).controllers:
        assert "30 processes" in found.document["message"]
    else:
        assert found.document["name"] == "ProcessLimit"
    assert entries(tmp_path) == []


async def test_what_a_dead_agent_left_in_its_groups_is_ended(tmp_path: Path, base: Path) -> None:
    group = Cgroups(base, tmp_path).make("job", Limits())
    other = Cgroups(base, tmp_path / "another").make("job", Limits())
    assert group
    assert other
    sleepers = [await asyncio.create_subprocess_exec("sleep", "60") for _ in range(2)]
    group.take(sleepers[0].pid)
    other.take(sleepers[1].pid)
    Executor(tmp_path, Limits(), cgroup=base).kill_leftovers()
    assert has_ended(sleepers[0].pid)
    assert not has_ended(sleepers[1].pid, within_s=0)
    assert group.processes() == []
    assert not group.ran_out_of_memory()
    other.end()
    for sleeper in sleepers:
        await sleeper.wait()


async def test_a_job_does_without_where_none_can_be_made(tmp_path: Path, base: Path) -> None:
    executor = Executor(tmp_path, Limits(), cgroup=base)
    (base / "cgroup.max.descendants").write_text("0")
    assert (await ran(executor, "echo ran")).document == "ran"


def test_what_a_group_is_told() -> None:
    told = cgroup.settings_of(Limits(memory_mb=2, processes=7))
    assert told == {
        "memory.max": "2097152",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "7",
    }
    assert cgroup.settings_of(Limits(processes=None)) == {}


def test_a_folder_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"JOB_CGROUP: .* no control group of version 2"):
        read(SETTINGS | {"JOB_CGROUP": str(tmp_path)}, tmp_path, None, None)


def test_one_that_is_ours_is_taken(tmp_path: Path, base: Path) -> None:
    assert read(SETTINGS | {"JOB_CGROUP": str(base)}, tmp_path, None, None).cgroup == base


def test_root_divides_no_group_that_nobody_delegated() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may write groups that are not its own")
    assert cgroup.delegated() is None


DIVIDED = """
from pathlib import Path
from agent.executor.cgroup import delegated
import sys
Path(sys.argv[1], "cgroup.procs").write_text("0")
print(delegated())
print(delegated())
print(Path("/proc/self/cgroup").read_text())
"""


def test_a_group_that_systemd_delegated_is_divided_and_its_agent_moves_to_a_leaf(base: Path) -> None:
    try:
        os.setxattr(base, "user.delegate", b"1")
    except OSError as error:
        pytest.skip(f"no extended attributes on cgroups here: {error}")
    command = [sys.executable, "-c", DIVIDED, str(base)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    assert said.splitlines()[:2] == [str(base), str(base)]
    assert f"0::/{base.name}/agent\n" in said
