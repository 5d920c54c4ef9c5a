"""`kill -9` at each named step of custody, on both sides: I1, I2 and I3 hold at all of them."""

from pathlib import Path

import pytest

from tests.support.deaths import (
    agent_that_died_at,
    dies_and_is_started_again,
    every_job_has_its_result,
    submit,
)
from tests.support.killed_at import AGENT, BRIDGE
from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker


async def every_job_ended_once(world: World, agent: Agent, jobs: dict[str, str], trace: Path) -> None:
    await every_job_has_its_result(world, jobs, trace, errors_of_once=["Interrupted"])
    assert sorted(world.cluster.completed()) == sorted(jobs.values())
    await until(lambda: all(row["state"] == "closed" for row in world.cluster.custody()))
    assert {row["job_id"] for row in world.cluster.custody()} == set(jobs.values())
    await until(lambda: agent.status()["custody"] == {})
    assert agent.status()["quarantined"] == 0


@pytest.mark.parametrize("step", AGENT)
async def test_of_the_agent(world: World, tmp_path: Path, step: str) -> None:
    trace = tmp_path / "trace"
    agent, jobs = await agent_that_died_at(step, world, trace)
    await every_job_ended_once(world, agent, jobs, trace)


@pytest.mark.parametrize("step", BRIDGE)
async def test_of_the_bridge(world: World, tmp_path: Path, step: str) -> None:
    mark, trace = tmp_path / "mark", tmp_path / "trace"
    world.bridge.stop()
    world.bridge.will_die_at(step, mark)
    await world.bridge.start()
    jobs = submit(world, trace)
    agent = world.site("bash", slots=2)
    mark.touch()
    agent.launch()
    await dies_and_is_started_again(world.bridge)
    await every_job_ended_once(world, agent, jobs, trace)
