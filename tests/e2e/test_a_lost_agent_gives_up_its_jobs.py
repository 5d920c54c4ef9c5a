"""A custodian that is silent for `lost_after` loses its jobs: run elsewhere, or closed, as the tag says."""

import json
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

LOST_AFTER_S = 15
LOSING_S = 60.0


def lines(trace: Path) -> list[str]:
    return trace.read_text().split() if trace.exists() else []


def attempts(world: World, job: str) -> list[str]:
    return [row["outcome"] or row["state"] for row in world.cluster.attempts(job)]


async def test_what_a_lost_agent_held_runs_elsewhere_or_ends(world: World, tmp_path: Path) -> None:
    policies = {"pos-*": {"replace": "never"}, "once-*": {"delivery": "at_most_once"}}
    world.bridge.stop()
    world.bridge.settings |= {"LOST_AFTER_S": str(LOST_AFTER_S), "TAG_POLICIES": json.dumps(policies)}
    await world.bridge.start()
    tags = ("bash", "pos-a", "once-a")
    lost = await world.agent(*tags)
    trace = tmp_path / "trace"
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    blocker = world.cluster.submit(f"echo blocker >> {trace}; [ $ORVANTA_ATTEMPT = 2 ] || {wait}", "bash")
    await world.cluster.running(blocker)
    again = world.cluster.submit(f"echo again-$ORVANTA_ATTEMPT >> {trace}", "bash")
    never = world.cluster.submit(f"echo never >> {trace}", "pos-a")
    once = world.cluster.submit(f"echo once >> {trace}", "once-a")
    for job in (again, never, once):
        await world.cluster.accepted(job)
    lost.kill()
    other = await world.agent(*tags)
    ended = [await world.cluster.done(job, within_s=LOSING_S) for job in (blocker, again, never, once)]
    assert [record["success"] for record in ended] == [True, True, False, False]
    assert [ended[n]["result"]["error"]["name"] for n in (2, 3)] == ["CustodianLost"] * 2
    assert attempts(world, again) == ["lost", "success"]
    other.stop()
    await (
        lost.start()
    )  # it is back: told to drop what it has lost, and to stop what it runs of a job that is over
    await until(lambda: not lost.status()["custody"], within_s=LOSING_S)
    assert sorted(set(lines(trace))) == ["again-2", "blocker"]


async def test_a_late_result_of_a_lost_attempt_is_recorded_as_late(world: World, tmp_path: Path) -> None:
    world.bridge.stop()
    world.bridge.settings |= {"LOST_AFTER_S": str(LOST_AFTER_S)}
    await world.bridge.start()
    slow = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(f"echo $ORVANTA_ATTEMPT >> {trace}; echo $ORVANTA_ATTEMPT", "bash")
    held = world.cluster.submit(
        f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo $ORVANTA_ATTEMPT", "bash"
    )
    await world.cluster.done(job)
    await world.cluster.running(held)
    world.cut()
    (tmp_path / "go").touch()
    await until(lambda: slow.status()["custody"].get("finished") == 1)
    await until(lambda: attempts(world, held) == ["lost", "published"], within_s=LOSING_S)
    world.restore()  # the first attempt's result comes home first after all
    record = await world.cluster.done(held, within_s=LOSING_S)
    assert record["result"] == "1"
    await until(lambda: attempts(world, held)[0] == "success")
    await until(lambda: not slow.status()["custody"], within_s=LOSING_S)
    assert len(world.cluster.attempts(held)) == 2
