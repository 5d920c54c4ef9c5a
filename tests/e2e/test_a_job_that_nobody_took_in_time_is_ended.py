"""`not_after` passes while a job waits in RabbitMQ or the ledger: the bridge ends it, and nobody runs it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.wire.claims import Tag
from agent.wire.routing import JOBS, job_queue
from tests.support.mail import channel, next_of, put_again
from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

ENDING_S = 60.0


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_it_is_recorded_as_expired_and_never_runs(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    agent.stop()
    trace = tmp_path / "trace"
    late = world.cluster.submit(f"touch {trace}", "bash", not_after=soon(3))
    in_time = world.cluster.submit("echo in time", "bash", not_after=soon(3600))
    record = await world.cluster.done(late, within_s=ENDING_S)
    assert record["result"]["error"]["name"] == "Expired"
    await agent.start()
    assert (await world.cluster.done(in_time))["result"] == "in time"
    await until(lambda: not agent.status()["custody"])
    assert not trace.exists()
    assert [row["outcome"] for row in world.cluster.attempts(late)] == ["expired"]


async def test_the_wait_in_the_broker_counts_at_the_site(world: World, tmp_path: Path) -> None:
    """The message is held back by a stranger until it is too late, and the bridge has not ended it yet."""
    agent = await world.agent("bash")
    agent.stop()
    trace = tmp_path / "trace"
    late = world.cluster.submit(f"touch {trace}", "bash", not_after=soon(2))
    async with channel(world) as opened:
        message = await next_of(opened, job_queue(Tag("bash")))
    await agent.start()
    await until(lambda: soon(0) > world.cluster.job(late)["not_after"])
    await put_again(world, JOBS, message)
    assert (await world.cluster.done(late, within_s=ENDING_S))["result"]["error"]["name"] == "Expired"
    await world.cluster.done(world.cluster.submit("echo after", "bash"))
    assert not trace.exists()
