"""Jobs of each kind, around which one side dies once and is started again."""

import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, Bridge, World

SMALL: Final = tuple(map(str, range(4)))
LARGE: Final = "def main():\n    open({trace!r}, 'a').write('large\\n')\n    return 'y' * 300_000"


def submit(world: World, trace: Path) -> dict[str, str]:
    """What each job is called → its id."""
    jobs = {name: world.cluster.submit(f"echo {name} >> {trace}; echo {name}", "bash") for name in SMALL}
    jobs["large"] = world.cluster.submit(LARGE.format(trace=str(trace)), "bash", "python3")
    jobs["once"] = world.cluster.submit(f"echo once >> {trace}; echo once", "bash", delivery="at_most_once")
    return jobs


def names_in(trace: Path) -> list[str]:
    return trace.read_text().split()


async def dies_and_is_started_again(victim: Agent | Bridge) -> None:
    await until(lambda: victim.process.exit_code == -signal.SIGKILL, within_s=RECONNECT_S)
    await victim.start()


async def agent_that_died_at(step: str, world: World, trace: Path) -> tuple[Agent, dict[str, str]]:
    """It lives again; with it the jobs."""
    mark = trace.with_name("mark")
    jobs = submit(world, trace)
    agent = world.site("bash", slots=2)
    agent.will_die_at(step, mark)
    mark.touch()
    agent.launch()
    await dies_and_is_started_again(agent)
    return agent, jobs


async def every_job_has_its_result(
    world: World, jobs: dict[str, str], trace: Path, errors_of_once: Collection[str]
) -> list[str]:
    """After one death. The names of those that ran, each as often as it did."""
    await world.cluster.all_done(list(jobs.values()), within_s=RECONNECT_S)
    results = {name: world.cluster.job(job)["result"] for name, job in jobs.items()}
    once = results.pop("once")
    assert results == {name: name for name in SMALL} | {"large": "y" * 300_000}
    ran = names_in(trace)
    assert set(ran) >= set(results)
    assert max(ran.count(name) for name in results) <= 2  # one death interrupts a run once
    assert ran.count("once") <= 1  # I2
    assert once == "once" or once["error"]["name"] in errors_of_once
    return ran
