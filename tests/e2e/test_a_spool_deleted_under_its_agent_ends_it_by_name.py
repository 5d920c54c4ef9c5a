"""Nothing is claimed on a spool that is gone; the bridge finds what was lost with it (I1, I3)."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker

LOST_AFTER_S = 15


def folder(agent: Agent) -> None:
    agent.spool.rename(agent.spool.with_name("gone"))
    shutil.rmtree(agent.spool.with_name("gone"), ignore_errors=True)


def database(agent: Agent) -> None:
    for part in agent.spool.glob("spool.db*"):
        part.unlink()


async def approved(world: World, agent: Agent, *, is_needed: bool) -> None:
    """With the whole folder the device's key is gone, and to the bridge it is another device."""
    if is_needed:
        await until(lambda: agent.events("device.refused"), within_s=30)
        (waiting,) = [
            one for one in world.cluster.read("/api/agent_workers/devices") if one["state"] == "waiting"
        ]
        world.cluster.post("/api/agent_workers/approve_device", {"device": waiting["device"]})
    await agent.linked(2)


@pytest.mark.parametrize("delete", [folder, database])
async def test_the_agent_ends_and_every_job_is_recorded(
    world: World, tmp_path: Path, delete: Callable[[Agent], None]
) -> None:
    world.bridge.stop()
    world.bridge.settings |= {"LOST_AFTER_S": str(LOST_AFTER_S)}
    await world.bridge.start()
    agent = await world.agent("bash")
    wait = (
        f"[ $ORVANTA_ATTEMPT = 2 ] || until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo $ORVANTA_ATTEMPT"
    )
    held = world.cluster.submit(wait, "bash")
    await world.cluster.running(held)
    delete(agent)
    late = world.cluster.submit("echo late", "bash")
    await until(lambda: not agent.process.is_running(), within_s=30)
    assert agent.process.exit_code == 1
    last_line = agent.process.text().splitlines()[-1]
    assert str(agent.spool) in last_line
    assert "was deleted" in last_line
    assert agent.events("spool.gone")
    assert not any(row["accepted_at"] for row in world.cluster.attempts(late))
    agent.launch()
    await approved(world, agent, is_needed=delete is folder)
    assert (await world.cluster.done(late, within_s=60))["result"] == "late"
    assert (await world.cluster.done(held, within_s=60))["result"] == "2"
    await until(lambda: [row["outcome"] for row in world.cluster.custody()].count("success") == 2)
