import asyncio
from pathlib import Path

import pytest

from agent.executor.limits import Limits
from tests.unit.executing import WITHIN_S, Running, Site, entries, has_ended, task

PATIENT = "trap 'echo cleaning; exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done"


async def cancelled(site: Site, code: str, running: Running) -> asyncio.Task[object]:
    """The run of `code`, after it has said `ready` and has been asked to stop."""
    run = asyncio.create_task(site.run(task(code), running))
    await running.says("ready")
    running.stop.request("ada@north", "wrong day")
    running.stop.request("bob", "me too")
    return run


async def test_it_has_time_to_clean_up(tmp_path: Path) -> None:
    running = Running()
    ran = await (await cancelled(Site(tmp_path), PATIENT, running))
    assert running.log.endswith("cleaning\n"), ran


async def test_the_outcome_names_who_cancelled_it_and_why(tmp_path: Path) -> None:
    site, running = Site(tmp_path), Running()
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        run = group.create_task(site.run(task("echo ready; sleep 300"), running))
        await running.says("ready")
        running.stop.request("ada@north", "wrong day")
    ran = run.result()
    assert ran.document == {
        "message": "execution error:\njob process terminated due to "
        "cancelled by ada@north (reason: wrong day)",
        "name": "ExecutionErr",
    }
    assert (ran.outcome.canceled_by, ran.outcome.canceled_reason) == ("ada@north", "wrong day")
    assert not ran.outcome.success


async def test_one_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    site, running = Site(tmp_path, Limits(kill_grace_s=0.2)), Running()
    code = "trap '' TERM\nsleep 300 & echo $!\necho ready\nwhile :; do sleep 0.05 || :; done"
    await (await cancelled(site, code, running))
    assert has_ended(int(running.log.split()[0]))


async def test_one_cancelled_before_its_start_never_starts(tmp_path: Path) -> None:
    running = Running()
    running.stop.request("ada@north", "wrong day")
    ran = await Site(tmp_path / "work").run(task(f"touch {tmp_path}/ran"), running)
    assert ran.document == {
        "message": "Job canceled: wrong day by ada@north",
        "name": "Canceled",
        "reason": "wrong day",
        "canceler": "ada@north",
    }
    assert not entries(tmp_path)


async def test_a_stop_after_the_end_changes_nothing(tmp_path: Path) -> None:
    running = Running()
    ran = await Site(tmp_path).run(task("echo fine"), running)
    running.stop.request("ada@north", "late")
    assert ran.document == "fine"
    assert ran.outcome.canceled_by is None


async def test_whoever_gives_up_the_run_takes_the_processes_with_it(tmp_path: Path) -> None:
    site, running = Site(tmp_path), Running()
    run = asyncio.create_task(site.run(task("trap '' TERM\nsleep 300 & echo $!; echo ready; wait"), running))
    await running.says("ready")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert has_ended(int(running.log.split()[0]))
    assert not entries(tmp_path)
