import asyncio
import threading
from pathlib import Path

import pytest

from agent.executor.kernel import Adopting
from tests.unit.executing import Running, Site, entries, has_ended, task


@pytest.mark.parametrize("away", ["", "setsid"])
async def test_a_child_that_outlives_its_job_is_killed(tmp_path: Path, away: str) -> None:
    ran = await Site(tmp_path).bash(f"{away} sleep 300 & echo $!")
    assert ran.outcome.success
    assert has_ended(int(ran.document))


async def test_a_directory_that_its_job_had_closed_is_removed(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("mkdir -p a/b; touch a/b/c; chmod 0 a/b a; rm -r shared; echo ok")
    assert ran.document == "ok"
    assert not entries(tmp_path)


async def test_what_an_earlier_run_left_is_not_seen_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "result.json").write_text("1")
    assert (await Site(tmp_path).bash("ls", job_id="again")).document == "shared"


def children() -> str:
    """The pids of this process's children: the tests' RabbitMQ may be among them."""
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()


async def test_no_open_files_and_no_unreaped_children_remain(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.bash(":")
    before, children_before = len(entries(Path("/proc/self/fd"))), children()
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(site.run(task("echo x; sleep 300 & :", job_id=f"job-{number}")))
    assert len(entries(Path("/proc/self/fd"))) == before
    assert children() == children_before
    assert len(asyncio.all_tasks()) == 1


async def test_orphans_are_reaped_where_they_become_ours(tmp_path: Path) -> None:
    """As in a container whose first process is the agent."""
    before, adopting = children(), Adopting()
    adopting.begin()
    try:
        await Site(tmp_path).bash("(sleep 0.05 &); (setsid sleep 300 > /dev/null &); sleep 0.2")
    finally:
        adopting.end()
    assert children() == before


async def test_jobs_side_by_side_do_not_touch_each_other(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with asyncio.TaskGroup() as group:
        runs = [
            group.create_task(site.run(task(f"echo {n} > result.out; sleep 0.{n}", job_id=f"job-{n}")))
            for n in range(10)
        ]
    assert [run.result().document for run in runs] == [f"{n}\n" for n in range(10)]


async def test_another_agent_s_attempt_of_the_same_job_is_let_be(tmp_path: Path) -> None:
    north, south, running = Site(tmp_path / "north"), Site(tmp_path / "south"), Running()
    async with asyncio.TaskGroup() as group:
        other = group.create_task(south.run(task("echo ready; sleep 1; echo whole"), running))
        await running.says("ready")
        assert (await north.bash("sleep 300", timeout_s=0.1)).outcome.canceled_by == "timeout"
        assert north.executor.kill_leftovers() == 0
    assert other.result().document == "whole"


async def test_a_link_that_a_job_made_leads_no_cleaning_astray(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "kept" / "file").touch()
    await Site(tmp_path / "work").bash(f"ln -s {tmp_path}/kept away; mkdir -p a/b; chmod 0 a")
    assert entries(tmp_path / "kept") == ["file"]
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o755
