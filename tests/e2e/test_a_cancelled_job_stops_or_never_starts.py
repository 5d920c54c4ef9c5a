"""I7: a cancel reaches a job wherever it is."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World, paused

pytestmark = pytest.mark.broker


async def canceled(world: World, job: str) -> None:
    """Returns when the job is recorded as cancelled, by whom and why."""
    record = await world.cluster.done(job)
    assert record["canceled"]
    assert record["canceled_by"] == "admin"
    assert record["canceled_reason"] == "not wanted"
    assert not record["success"]


async def test_a_running_job_is_stopped(calm: World) -> None:
    job = calm.cluster.submit("echo begun; sleep 120", "bash")
    await calm.cluster.running(job)
    calm.cluster.cancel(job, "not wanted")
    await canceled(calm, job)


async def test_a_job_that_waits_at_the_site_never_starts(world: World, tmp_path: Path) -> None:
    await world.agent("bash", slots=1)
    trace = tmp_path / "trace"
    first = world.cluster.submit("sleep 4", "bash")
    second = world.cluster.submit(f"touch {trace}", "bash")
    await world.cluster.running(first)
    await world.cluster.accepted(second)
    world.cluster.cancel(second, "not wanted")
    await canceled(world, second)
    await world.cluster.done(first)
    await world.cluster.done(world.cluster.submit("echo after", "bash"))
    assert not trace.exists()


async def test_a_job_that_waits_in_the_broker_never_starts(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    with paused(agent):
        job = world.cluster.submit(f"touch {trace}", "bash")
        await until(lambda: any(row["published_at"] for row in world.cluster.attempts(job)))
        world.cluster.cancel(job, "not wanted")
        await canceled(world, job)
        after = world.cluster.submit("echo after", "bash")
    await world.cluster.done(after)
    assert agent.status()["custody"].get("finished", 0) == 0
    assert len(world.cluster.attempts(job)) == 1


async def test_a_job_that_waits_in_the_cluster_never_leaves_it(calm: World) -> None:
    job = calm.cluster.submit("echo hi", "nobody-serves-this")
    calm.cluster.cancel(job, "not wanted")
    await canceled(calm, job)
    assert calm.cluster.attempts(job) == []
