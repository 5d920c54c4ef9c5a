"""I1: a queue emptied by hand, or with the broker's disk, costs no job and no result that was confirmed."""

import json
import sqlite3
from pathlib import Path

import pytest

from agent.wire.claims import Tag
from agent.wire.routing import EVENTS, RESULTS, job_queue
from tests.support.mail import channel, waiting_in
from tests.support.until import until
from tests.support.world import Agent, World, paused

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

LOST_AFTER_S = 15
AGAIN_S = 60.0
LONG_S = 3600.0


async def purge(world: World, queue: str) -> None:
    """Returns when there was something in it, and there is nothing any more."""
    await until(lambda: waiting_in(world, queue))
    async with channel(world) as opened:
        await (await opened.get_queue(queue, ensure=False)).purge()


def age(agent: Agent) -> None:
    """Its results wait for their receipts since an hour ago. The agent is down."""
    with sqlite3.connect(agent.spool / "spool.db") as database:
        database.execute("UPDATE held SET sent_at = sent_at - ?", (LONG_S,))
    database.close()


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
async def test_results_come_again(world: World, tmp_path: Path, delivery: str) -> None:
    agent = await world.agent("bash", slots=2)
    trace = tmp_path / "trace"
    wait = f"echo ran >> {trace}; until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    large = "head -c 400000 /dev/zero | tr '\\0' x"  # travels in parts
    jobs = [
        world.cluster.submit(f"{wait}; {last}", "bash", delivery=delivery) for last in ("echo small", large)
    ]
    for job in jobs:
        await world.cluster.running(job)
    world.bridge.kill()
    (tmp_path / "go").touch()
    await until(lambda: agent.status()["custody"] == {"sent": 2})
    agent.stop()
    await purge(world, RESULTS)
    age(agent)
    await world.bridge.start()
    await agent.start()
    small, whole = [await world.cluster.done(job, within_s=AGAIN_S) for job in jobs]
    assert (small["result"], whole["result"]) == ("small", "x" * 400_000)
    assert trace.read_text().split() == ["ran"] * 2
    await until(lambda: not agent.status()["custody"])


async def test_a_job_that_waits_for_its_grant_is_announced_again(world: World) -> None:
    agent = await world.agent("bash")
    await until(lambda: agent.events("consumer.opened"))
    with paused(agent):  # it is linked and consumes: nobody may begin to while the bridge is away
        job = world.cluster.submit("echo once", "bash", delivery="at_most_once")
        await until(lambda: any(row["published_at"] for row in world.cluster.attempts(job)))
        world.bridge.kill()
    await until(lambda: agent.status()["custody"] == {"waiting": 1})
    await purge(world, EVENTS)
    agent.stop()
    await world.bridge.start()
    await agent.start()
    assert (await world.cluster.done(job, within_s=AGAIN_S))["result"] == "once"


async def test_a_published_job_goes_out_again_unless_it_may_not(world: World, tmp_path: Path) -> None:
    policies = {"pos-*": {"replace": "never"}}
    world.bridge.stop()
    world.bridge.settings |= {"LOST_AFTER_S": str(LOST_AFTER_S), "TAG_POLICIES": json.dumps(policies)}
    await world.bridge.start()
    agent = await world.agent("bash", "pos-a")
    agent.stop()
    trace = tmp_path / "trace"
    again, never = (world.cluster.submit(f"echo {tag} >> {trace}", tag) for tag in ("bash", "pos-a"))
    for tag in ("bash", "pos-a"):
        await purge(world, job_queue(Tag(tag)))
    await agent.start()
    assert (await world.cluster.done(again, within_s=AGAIN_S))["success"]
    record = await world.cluster.done(never, within_s=AGAIN_S)
    assert record["result"]["error"]["name"] == "CustodianLost"
    assert trace.read_text().split() == ["bash"]
    assert [row["outcome"] for row in world.cluster.attempts(again)] == ["lost", "success"]
