"""A job whose bytes rot in the spool is not run and not lost: the site says so, and gets it once more."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker


def rot(agent: Agent, job: str) -> None:
    """Zero the bytes of one held job, as a bad sector would."""
    with closing(sqlite3.connect(agent.spool / "spool.db")) as spool, spool:
        damaged = spool.execute("UPDATE held SET body = zeroblob(length(body)) WHERE job_id = ?", (job,))
        assert damaged.rowcount == 1


@pytest.mark.parametrize(("delivery", "outcomes"), [
    ("at_least_once", ["lost", "success"]),
    ("at_most_once", ["lost"]),
])  # fmt: skip
async def test_it_runs_as_a_new_attempt_or_ends(
    world: World, tmp_path: Path, delivery: str, outcomes: list[str]
) -> None:
    agent = await world.agent("bash")
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    blocker = world.cluster.submit(wait, "bash")
    await world.cluster.running(blocker)
    job = world.cluster.submit("echo $ORVANTA_ATTEMPT", "bash", delivery=delivery)
    await world.cluster.accepted(job)
    agent.kill()
    rot(agent, job)
    (tmp_path / "go").touch()
    await agent.start()
    record = await world.cluster.done(job)
    await until(lambda: [row["outcome"] for row in world.cluster.attempts(job)] == outcomes)
    if delivery == "at_most_once":  # I2: nobody can know any more whether it was started
        assert "checksum" in record["result"]["error"]["message"]
    else:
        assert record["result"] == "2"
    await world.cluster.done(blocker)
    await until(lambda: agent.status()["quarantined"] == 1)
