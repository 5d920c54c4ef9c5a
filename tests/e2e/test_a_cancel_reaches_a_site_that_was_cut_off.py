"""I7: a job that was cancelled while its site was cut off does not start once the link is back."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker


async def test_it_waits_behind_a_running_one_and_never_starts(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=1)
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    first = world.cluster.submit(f"until [ -e {gate} ]; do sleep 0.1; done; echo first", "bash")
    await world.cluster.running(first)
    behind = world.cluster.submit(f"touch {trace}", "bash")
    once = world.cluster.submit(f"touch {trace}", "bash", delivery="at_most_once")
    for job in (behind, once):
        await world.cluster.accepted(job)
    world.cut()
    await until(lambda: agent.links("down"))
    for job in (behind, once):
        world.cluster.cancel(job, "not wanted")
    await until(lambda: all(world.cluster.job(job)["canceled"] for job in (behind, once)))
    world.restore()
    for job in (behind, once):
        record = await world.cluster.done(job, within_s=RECONNECT_S)
        assert (record["canceled_by"], record["canceled_reason"]) == ("admin", "not wanted")
    gate.touch()
    assert (await world.cluster.done(first))["result"] == "first"
    await world.cluster.done(world.cluster.submit("echo after", "bash"))
    assert not trace.exists()


async def test_also_when_the_agent_was_restarted_meanwhile(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=1)
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    first = world.cluster.submit(f"until [ -e {gate} ]; do sleep 0.1; done; echo first", "bash")
    await world.cluster.running(first)
    behind = world.cluster.submit(f"touch {trace}", "bash")
    await world.cluster.accepted(behind)
    agent.kill()
    world.cluster.cancel(behind, "not wanted")
    await until(lambda: any(row["cancel_sent"] for row in world.cluster.attempts(behind)))
    await agent.start()
    assert (await world.cluster.done(behind, within_s=RECONNECT_S))["canceled"]
    gate.touch()
    assert (await world.cluster.done(first))["result"] == "first"
    assert not trace.exists()
