"""Jobs of each kind, around which one side dies once and is started again."""

import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, Bridge, World

SMALL: Final = tuple(map(str, range(4)))
LARGE: Final = "def main():\n    open({trace!r}, 'a').write('large\\n')\n    return 'y' * 300_000"


@dataclass(frozen=True, slots=True)
class Death:
    """What is left to look at after one: jobs by what each is called, where they wrote, who ran them."""

    world: World
    agent: Agent
    jobs: Mapping[str, str]
    trace: Path

    def ran(self) -> list[str]:
        """The names of the jobs that ran, each as often as it did."""
        return self.trace.read_text().split()

    def custody(self) -> list[dict[str, Any]]:
        return [row for row in self.world.cluster.custody() if row["job_id"] in self.jobs.values()]


class Deaths:
    """Many in one world, one after the other, each with a site and a tag of its own."""

    def __init__(self, world: World) -> None:
        self._world: Final = world
        self._count = 0

    async def open(self) -> None:
        self._world.bridge.is_mortal()
        await self._world.open()

    async def of_the_agent(self, step: str) -> Death:
        """It lives again when this returns."""
        death = self._prepared()
        death.agent.is_mortal()
        return await self._of(death.agent, step, death)

    async def of_the_bridge(self, step: str) -> Death:
        """It lives again when this returns."""
        return await self._of(self._world.bridge, step, self._prepared())

    def _prepared(self) -> Death:
        """Nothing of it is pulled yet: its agent, which alone has the tag, is not launched."""
        self._count += 1
        tag, trace = f"death-{self._count}", self._world.folder / f"trace-{self._count}"
        return Death(self._world, self._world.site(tag, slots=2), _submitted(self._world, tag, trace), trace)

    async def _of(self, victim: Agent | Bridge, step: str, death: Death) -> Death:
        victim.dies_at(step)
        death.agent.launch()
        await until(lambda: victim.process.exit_code == -signal.SIGKILL, within_s=RECONNECT_S)
        await victim.start()
        return death


def _submitted(world: World, tag: str, trace: Path) -> dict[str, str]:
    jobs = {name: world.cluster.submit(f"echo {name} >> {trace}; echo {name}", tag) for name in SMALL}
    jobs["large"] = world.cluster.submit(LARGE.format(trace=str(trace)), tag, "python3")
    jobs["once"] = world.cluster.submit(f"echo once >> {trace}; echo once", tag, delivery="at_most_once")
    return jobs


async def every_job_has_its_result(death: Death, errors_of_once: Collection[str]) -> None:
    cluster, jobs = death.world.cluster, death.jobs
    await cluster.all_done(list(jobs.values()), within_s=RECONNECT_S)
    results = {name: cluster.job(job)["result"] for name, job in jobs.items()}
    once = results.pop("once")
    assert results == {name: name for name in SMALL} | {"large": "y" * 300_000}
    ran = death.ran()
    assert set(ran) >= set(results)
    assert max(ran.count(name) for name in results) <= 2  # one death interrupts a run once
    assert ran.count("once") <= 1  # I2
    assert once == "once" or once["error"]["name"] in errors_of_once
    assert sorted(job for job in cluster.completed() if job in jobs.values()) == sorted(jobs.values())
    await until(lambda: death.agent.status()["custody"] == {}, within_s=RECONNECT_S)
    assert death.agent.status()["quarantined"] == 0
    death.agent.stop()
