"""A token that expired or was refused: the agent says so, goes on executing, and keeps the results."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker


async def test_what_is_held_is_finished_and_kept(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=1)
    gate = tmp_path / "gate"
    code = f"while [ ! -e {gate} ]; do sleep 0.05; done; echo done"
    jobs = [world.cluster.submit(code, "bash") for _ in range(2)]
    for job in jobs:
        await world.cluster.accepted(job)
    agent.kill()
    good = agent.settings["AGENT_TOKEN"]
    agent.settings["AGENT_TOKEN"] = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    agent.launch()
    refusal = (await until(lambda: agent.events("token.refused")))[0]
    assert "AGENT_TOKEN" in refusal["reason"]
    gate.touch()
    await until(lambda: agent.status().get("backlog") == 2, within_s=20)
    assert "refused" in agent.status()["link_reason"]
    assert agent.process.is_running()
    agent.kill()
    agent.settings["AGENT_TOKEN"] = good
    agent.launch()
    await world.cluster.all_done(jobs)


async def test_an_expired_token_is_said_to_be_refused(world: World) -> None:
    agent = world.site("bash", token=world.cluster.token("bash", lives_s=2))
    await until(lambda: world.cluster.is_refused(agent.settings["AGENT_TOKEN"]))
    agent.launch()
    refusal = (await until(lambda: agent.events("token.refused")))[0]
    assert "AGENT_TOKEN" in refusal["reason"]
