"""AiiDA's issue 1748: a task was run by a second worker while the first, cut off, was still running it.

Its six steps, as they were written down there, each met by what an outsider sees of ours:

1. workers A and B start and connect to RabbitMQ;
2. A picks up a task;
3. the connection of A is interrupted;
4. the heartbeat of A expires, and RabbitMQ notices that the connection is lost;
5. RabbitMQ takes A for dead and sends the task to B;
6. B starts to run the task that A is still running.

Ours ends at step 4: the task was acknowledged when A had it on disk, so the broker has nothing to send again.
"""

from pathlib import Path

import aio_pika
import pytest

from agent.wire.claims import WorkerName
from agent.wire.routing import control_queue
from dev_tools.proxy import Cut
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = pytest.mark.broker

NOTICED_S = 90.0  # two heartbeats of 10 s that do not come, and a loaded machine
A_IS_AT = "127.0.0.2"


async def is_known_to_the_broker(world: World, agent: Agent) -> bool:
    """Whether RabbitMQ believes that this agent is connected: somebody consumes its control queue."""
    queue = control_queue(WorkerName(agent.status()["worker"]))
    async with await aio_pika.connect(world.amqp_url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, passive=True)
        return bool(declared.declaration_result.consumer_count)


def places(trace: Path) -> list[str]:
    """Where the task ran: a job's folder lies in the spool of its agent."""
    return trace.read_text().splitlines() if trace.exists() else []


async def test_the_six_steps_end_with_one_run_and_one_result(world: World, tmp_path: Path) -> None:
    trace, go = tmp_path / "trace", tmp_path / "go"
    link = world.link(A_IS_AT)
    a = world.site("bash", base_url=world.url_at(A_IS_AT))
    await a.start()
    code = f"pwd >> {trace}; until [ -e {go} ]; do sleep 0.05; done; echo done by the first"
    task = world.cluster.submit(code, "bash")
    await world.cluster.running(task)  # step 2
    b = await world.agent("bash", slots=2)  # step 1: B is there to be sent what A loses
    assert await is_known_to_the_broker(world, a)
    link.cut(Cut.STALL)  # step 3: no byte passes and no socket is closed

    async def noticed() -> bool:
        return not await is_known_to_the_broker(world, a)

    await until(noticed, within_s=NOTICED_S)  # step 4
    after = world.cluster.submit("echo B is at work", "bash")
    assert (await world.cluster.done(after))[
        "result"
    ] == "B is at work"  # whatever was to come has come: step 5
    assert [place.startswith(str(a.spool)) for place in places(trace)] == [True]  # no step 6
    go.touch()
    await until(lambda: a.status()["backlog"] == 1, within_s=20)
    link.restore()
    assert (await world.cluster.done(task, within_s=RECONNECT_S))["result"] == "done by the first"
    assert len(places(trace)) == 1
    assert len(world.cluster.attempts(task)) == 1
    assert world.cluster.completed().count(task) == 1
    assert not b.events("job.dispatched_again")
