"""`kill -9` at each named step of custody, on both sides: I1, I2 and I3 hold at all of them."""

import signal
from pathlib import Path

import pytest

from tests.support.killed_at import AGENT, BRIDGE
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, Bridge, World

pytestmark = pytest.mark.broker

SMALL = 4
LARGE = "def main():\n    open({trace!r}, 'a').write('large\\n')\n    return 'y' * 300_000"


def submit(world: World, trace: Path) -> dict[str, str]:
    """What each job is called → its id."""
    jobs = {str(n): world.cluster.submit(f"echo {n} >> {trace}; echo {n}", "bash") for n in range(SMALL)}
    jobs["large"] = world.cluster.submit(LARGE.format(trace=str(trace)), "bash", "python3")
    jobs["once"] = world.cluster.submit(f"echo once >> {trace}; echo once", "bash", delivery="at_most_once")
    return jobs


def names_in(trace: Path) -> list[str]:
    return trace.read_text().split()


async def dies_and_is_started_again(victim: Agent | Bridge) -> None:
    await until(lambda: victim.process.exit_code == -signal.SIGKILL, within_s=RECONNECT_S)
    await victim.start()


async def every_job_ended_once(world: World, agent: Agent, jobs: dict[str, str], trace: Path) -> None:
    await world.cluster.all_done(list(jobs.values()), within_s=RECONNECT_S)
    results = {name: world.cluster.job(job)["result"] for name, job in jobs.items()}
    once = results.pop("once")
    assert results == {str(n): str(n) for n in range(SMALL)} | {"large": "y" * 300_000}
    ran = names_in(trace)
    assert set(ran) >= set(results)
    assert max(ran.count(name) for name in results) <= 2  # one death interrupts a run once
    assert ran.count("once") <= 1  # I2
    assert once == "once" or once["error"]["name"] == "Interrupted"
    assert sorted(world.cluster.completed()) == sorted(jobs.values())
    await until(lambda: all(row["state"] == "closed" for row in world.cluster.custody()))
    assert {row["job_id"] for row in world.cluster.custody()} == set(jobs.values())
    await until(lambda: agent.status()["custody"] == {})
    assert agent.status()["quarantined"] == 0


@pytest.mark.parametrize("step", AGENT)
async def test_of_the_agent(world: World, tmp_path: Path, step: str) -> None:
    mark, trace = tmp_path / "mark", tmp_path / "trace"
    jobs = submit(world, trace)
    agent = world.site("bash", slots=2)
    agent.will_die_at(step, mark)
    mark.touch()
    agent.launch()
    await dies_and_is_started_again(agent)
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
