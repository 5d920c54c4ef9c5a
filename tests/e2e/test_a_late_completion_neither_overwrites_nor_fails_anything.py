"""Windmill's pull request 9214: a slow worker's late completion made a job that had succeeded a failed one.

1. the worker of a step stops pinging for longer than the cluster waits; it need only be slow, not dead;
2. the job is given to another worker, which finishes it;
3. the first one catches up, and its completion comes to a job that is completed already;
4. that "AlreadyCompleted" was taken for a failure of the job, and passed up to its flow.

In ours the first result stands; the late one is noted as late, and its sender is told to forget it (I1).
"""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

LOST_AFTER_S = 15
SLOW_IS_AT = "127.0.0.2"
LOSING_S = 90.0
CODE = """
[ $ORVANTA_ATTEMPT = 1 ] || {{ echo fast; exit 0; }}
until [ -e {folder}/go ]; do sleep 0.05; done
{late}
"""


def outcomes(world: World, job: str) -> list[tuple[str, bool]]:
    """Of each attempt: how it ended, and whether a late result came for it."""
    return [(row["outcome"], bool(row["late"])) for row in world.cluster.attempts(job)]


async def test_the_first_result_stands_whatever_the_slow_worker_says(world: World, tmp_path: Path) -> None:
    world.bridge.stop()
    world.bridge.settings |= {"LOST_AFTER_S": str(LOST_AFTER_S)}
    await world.bridge.start()
    link = world.link(SLOW_IS_AT)
    slow = world.site("bash", slots=2, base_url=world.url_at(SLOW_IS_AT))
    await slow.start()
    ends = {"success": "echo slow", "failure": "exit 3"}
    jobs = [world.cluster.submit(CODE.format(folder=tmp_path, late=end), "bash") for end in ends.values()]
    for job in jobs:
        await world.cluster.running(job)
    link.cut()  # no ping comes through; the worker and its jobs run on
    await world.agent("bash", slots=2)
    for job in jobs:
        record = await world.cluster.done(job, within_s=LOSING_S)
        assert (record["success"], record["result"]) == (True, "fast")
    (tmp_path / "go").touch()
    await until(lambda: slow.status()["backlog"] == 2, within_s=30)
    link.restore()
    await until(
        lambda: [outcomes(world, job) for job in jobs] == [[("lost", True), ("success", False)]] * 2,
        within_s=RECONNECT_S,
    )
    await until(lambda: not slow.status()["custody"], within_s=RECONNECT_S)
    for job in jobs:
        record = world.cluster.job(job)
        assert (record["success"], record["result"]) == (True, "fast")
        assert world.cluster.completed().count(job) == 1
    another = world.cluster.submit("echo on", "bash")
    assert (await world.cluster.done(another))["result"] == "on"
