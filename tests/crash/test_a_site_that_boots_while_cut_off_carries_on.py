"""nomad's issue 24629: power and link fail together, and after the boot nothing runs without a server.

1. a job with `disconnect { lost_after = "6h", replace = false }` runs at an edge node;
2. the node loses its power, and its link in the same moment;
3. the servers do wait: the node is "disconnected", its allocation "unknown";
4. the node boots and is still cut off: it cannot register, so it does not start what it had been given.

Ours boots from the enrolment and the jobs in its spool: what ran is run again, what waited is run, all while
cut off, and each is recorded once when the link is back (I1, I3).
"""

from pathlib import Path

import pytest

from dev_tools.processes import clear_below
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = pytest.mark.broker


def starts(trace: Path) -> list[str]:
    return trace.read_text().split() if trace.exists() else []


def lose_power(agent: Agent) -> None:
    """The agent and all that it had started are gone at once."""
    agent.kill()
    clear_below(agent.spool)


async def test_what_a_dark_site_held_is_run_before_any_link_is_back(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace, power = tmp_path / "trace", tmp_path / "power"
    ran = world.cluster.submit(
        f"echo ran >> {trace}; until [ -e {power} ]; do sleep 0.05; done; echo a", "bash"
    )
    waited = [world.cluster.submit(f"echo {n} >> {trace}; echo {n}", "bash") for n in range(3)]
    once = world.cluster.submit(f"echo once >> {trace}; echo once", "bash", delivery="at_most_once")
    await world.cluster.running(ran)
    for job in (*waited, once):
        await world.cluster.accepted(job)
    await until(lambda: agent.status()["custody"] == {"started": 1, "ready": 4})
    world.cut()
    lose_power(agent)
    assert starts(trace) == ["ran"]
    power.touch()
    agent.launch()
    await until(lambda: agent.status().get("backlog") == 5, within_s=30)
    assert agent.status()["link"] == "down"
    assert starts(trace) == ["ran", "ran", "0", "1", "2", "once"]
    assert world.cluster.completed() == []
    assert {(row["state"], row["custodian"]) for row in world.cluster.custody()} == {
        ("accepted", agent.status()["worker"])
    }
    lose_power(agent)  # and once more, with all results on disk
    agent.launch()
    world.restore()
    jobs = [ran, *waited, once]
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in jobs] == ["a", "0", "1", "2", "once"]
    assert sorted(world.cluster.completed()) == sorted(jobs)
    assert len(world.cluster.custody()) == 5
    assert len(starts(trace)) == 6
