"""I1, I2: of two agents that are handed the same attempt, one is its custodian and the other lets go."""

from pathlib import Path

import pytest

from agent.wire.claims import Tag
from agent.wire.routing import JOBS, job_queue
from tests.support.mail import channel, next_of, put_again
from tests.support.until import until
from tests.support.world import World

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]


async def handed_to_both(world: World, trace: Path, gate: Path, delivery: str) -> str:
    """A job that stands in its queue twice, and two agents with one slot each that are free to take it."""
    agents = [await world.agent("bash") for _ in range(2)]
    for agent in agents:
        agent.stop()
    code = f"echo $ORVANTA_ATTEMPT >> {trace}; until [ -e {gate} ]; do sleep 0.1; done; echo done"
    job = world.cluster.submit(code, "bash", delivery=delivery)
    async with channel(world) as opened:
        taken = await next_of(opened, job_queue(Tag("bash")))
    for _ in range(2):
        await put_again(world, JOBS, taken)
    for agent in agents:
        agent.launch()
    for agent in agents:
        await agent.linked(2)
    return job


async def test_an_at_most_once_job_starts_once(world: World, tmp_path: Path) -> None:
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    job = await handed_to_both(world, trace, gate, "at_most_once")
    await world.cluster.running(job)
    gate.touch()
    assert (await world.cluster.done(job))["result"] == "done"
    after = [world.cluster.submit("echo after", "bash") for _ in range(4)]  # both agents are at work still
    await world.cluster.all_done(after)
    assert trace.read_text().split() == ["1"]  # I2
    (row,) = world.cluster.attempts(job)
    assert (row["outcome"], row["state"]) == ("success", "closed")


async def test_an_at_least_once_job_is_recorded_once(world: World, tmp_path: Path) -> None:
    trace, gate = tmp_path / "trace", tmp_path / "gate"
    job = await handed_to_both(world, trace, gate, "at_least_once")
    gate.touch()
    assert (await world.cluster.done(job))["result"] == "done"
    after = [world.cluster.submit("echo after", "bash") for _ in range(4)]
    await world.cluster.all_done(after)
    await until(lambda: world.cluster.attempts(job)[0]["late"] == len(trace.read_text().split()) - 1)
    assert world.cluster.completed().count(job) == 1  # I1
