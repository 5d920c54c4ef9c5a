"""`kill -9` of the bridge while jobs are in every stage; RabbitMQ restarted or killed."""

from pathlib import Path

import pytest

from dev_tools.brokers.broker import Broker
from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker


def stream(world: World, trace: Path, count: int) -> list[str]:
    return [world.cluster.submit(f"echo {n} >> {trace}; sleep 0.1; echo {n}", "bash") for n in range(count)]


def numbers(trace: Path) -> list[int]:
    return sorted(map(int, trace.read_text().split()))


async def once_each(world: World, jobs: list[str], trace: Path) -> None:
    """Each job ran once, was recorded once, with its own result."""
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in jobs] == [str(n) for n in range(len(jobs))]
    assert numbers(trace) == list(range(len(jobs)))
    rows = world.cluster.custody()
    assert sorted(row["job_id"] for row in rows) == sorted(jobs)


async def test_the_bridge_is_killed_while_jobs_are_out(world: World, tmp_path: Path) -> None:
    await world.agent("bash", slots=2)
    trace = tmp_path / "trace"
    jobs = stream(world, trace, 30)
    for done in (5, 15):
        await until(lambda done=done: len(world.cluster.completed()) >= done)  # type: ignore[misc]  # no inference
        world.bridge.kill()
        await world.bridge.start()
    await once_each(world, jobs, trace)


async def test_a_job_that_ran_while_the_bridge_was_down_is_recorded(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(f"sleep 1; echo 0 >> {trace}; echo 0", "bash")
    await world.cluster.running(job)
    world.bridge.kill()
    await until(lambda: agent.status()["custody"].get("sent") == 1)
    await world.bridge.start()
    await once_each(world, [job], trace)


async def test_rabbitmq_is_restarted_and_killed(world: World, tmp_path: Path, broker: Broker) -> None:
    if not broker.is_ours:
        pytest.skip("the RabbitMQ of AMQP_URL is not ours to stop")
    await world.agent("bash", slots=2)
    trace = tmp_path / "trace"
    jobs = stream(world, trace, 20)
    await until(lambda: len(world.cluster.completed()) >= 3)
    broker.restart()
    jobs += [world.cluster.submit(f"echo {n} >> {trace}; echo {n}", "bash") for n in range(20, 30)]
    await until(lambda: len(world.cluster.completed()) >= 22, within_s=RECONNECT_S)
    broker.kill()
    broker.start()
    await once_each(world, jobs, trace)
