"""A real agent whose clock is at 1970 or jumps: its jobs run, expire and are dated as they should."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.faked_clock import FakedClock, needs_faketime
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = [pytest.mark.broker, needs_faketime]

YEARS_S = 10 * 365 * 86_400
NEAR_S = 300.0


def in_s(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def clock(tmp_path: Path) -> FakedClock:
    return FakedClock(tmp_path)


async def site(world: World, clock: FakedClock) -> Agent:
    agent = world.site("bash", slots=1)
    agent.settings |= clock.settings
    await agent.start()
    return agent


async def held(world: World, gate: Path, *not_after_s: float) -> tuple[str, list[str]]:
    """A job that runs until the gate opens, and jobs with these deadlines behind it, all in custody."""
    first = world.cluster.submit(f"until [ -e {gate} ]; do sleep 0.1; done; echo first", "bash")
    await world.cluster.running(first)
    behind = [world.cluster.submit("echo behind", "bash", not_after=in_s(s)) for s in not_after_s]
    for job in behind:
        await world.cluster.accepted(job)
    return first, behind


async def test_it_boots_at_1970_without_a_link_and_its_results_are_dated(
    world: World, clock: FakedClock, tmp_path: Path
) -> None:
    agent = await site(world, clock)
    gate = tmp_path / "gate"
    first, behind = await held(world, gate, 3600, 3600)
    world.cut()
    agent.kill()
    clock.at_1970()
    gate.touch()
    agent.launch()
    await until(lambda: agent.status().get("backlog") == 3, within_s=30)
    world.restore()
    await world.cluster.all_done([first, *behind], within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in (first, *behind)] == ["first", "behind", "behind"]
    for row in world.cluster.custody():
        assert row["finished_at"] < 86_400  # as the site's own clock had it
        assert abs(row["finished_at"] - row["clock_offset_ms"] / 1000 - time.time()) < NEAR_S
    await until(lambda: not agent.status()["custody"])


@pytest.mark.parametrize("jump_s", [YEARS_S, -YEARS_S])
async def test_a_jump_ends_no_job_and_no_link(
    world: World, clock: FakedClock, tmp_path: Path, jump_s: int
) -> None:
    agent = await site(world, clock)
    gate = tmp_path / "gate"
    first, behind = await held(world, gate, 3600)
    clock.ahead_by(jump_s)
    gate.touch()
    await world.cluster.all_done([first, *behind])
    assert world.cluster.job(behind[0])["result"] == "behind"
    clock.ahead_by(0)
    assert (await world.cluster.done(world.cluster.submit("echo back", "bash")))["result"] == "back"
    assert agent.events("link.down") == []
    (row,) = world.cluster.attempts(behind[0])
    assert abs(row["clock_offset_ms"] / 1000 - jump_s) < NEAR_S


async def test_a_clock_that_went_back_keeps_nothing_alive(
    world: World, clock: FakedClock, tmp_path: Path
) -> None:
    agent = await site(world, clock)
    gate = tmp_path / "gate"
    first, behind = await held(world, gate, 20, 3600)
    world.cut()
    clock.at_1970()
    agent.kill()
    agent.launch()
    await until(lambda: agent.status()["custody"].get("finished") == 1, within_s=60)
    gate.touch()
    world.restore()
    await world.cluster.all_done([first, *behind], within_s=RECONNECT_S)
    late, in_time = (world.cluster.job(job)["result"] for job in behind)
    assert late["error"]["name"] == "Expired"
    assert in_time == "behind"
