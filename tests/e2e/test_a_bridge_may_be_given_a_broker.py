"""What a site took over HTTP it brings home over HTTP first, and nothing out over RabbitMQ is forgotten."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker


def without_broker(settings: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in settings.items() if name not in ("AMQP_URL", "PUBLIC_AMQP_URL")}


async def test_jobs_of_the_old_link_end_first(world: World, tmp_path: Path) -> None:
    with_broker = dict(world.bridge.settings)
    world.bridge.stop()
    world.bridge.settings = without_broker(with_broker)
    await world.bridge.start()
    agent = await world.agent("bash")
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    code = f"echo ran >> {trace}; while [ ! -e {gate} ]; do sleep 0.05; done; echo done"
    jobs = [world.cluster.submit(code, "bash") for _ in range(2)]  # one runs, one waits
    await until(lambda: sum(agent.status()["custody"].values()) == 2)
    await until(trace.exists)
    world.bridge.stop()
    world.bridge.settings = with_broker
    await world.bridge.start()
    await agent.linked(2)
    late = world.cluster.submit("echo late", "bash")
    gate.touch()
    await world.cluster.all_done([*jobs, late], within_s=60)
    assert [world.cluster.job(job)["result"] for job in jobs] == ["done", "done"]
    assert trace.read_text().split() == ["ran", "ran"]
    assert [row["job_id"] for row in world.cluster.custody()] == [late]


async def test_a_bridge_does_not_forget_what_is_out_over_the_broker(world: World) -> None:
    job = world.cluster.submit("echo hi", "bash")
    agent = world.site("bash")
    await agent.start()
    await world.cluster.done(job)
    agent.kill()
    held = world.cluster.submit("echo hi", "bash")
    await until(lambda: any(row["published_at"] for row in world.cluster.attempts(held)))
    world.bridge.stop()
    world.bridge.settings = without_broker(world.bridge.settings)
    world.bridge.launch()
    await until(lambda: not world.bridge.process.is_running(), within_s=30)
    assert "AMQP_URL is missing, and 1 jobs" in world.bridge.process.text().splitlines()[-1]
