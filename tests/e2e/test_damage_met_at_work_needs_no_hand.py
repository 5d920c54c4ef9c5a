"""The spool's database is damaged under a running agent: it goes on with what can be read, by itself (I1)."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

JOBS = 12


def garble(database: Path) -> None:
    """Every page behind the header and the schema, in the file and in what is about to go into it."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(page_size)
        file.write(os.urandom(size - page_size))


async def test_the_same_process_goes_on_and_every_job_ends_once(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo waited"
    jobs = [world.cluster.submit(wait, "bash")]
    await world.cluster.running(jobs[0])
    jobs += [world.cluster.submit(f"echo {n}", "bash") for n in range(1, JOBS)]
    for job in jobs:
        await world.cluster.accepted(job)
    pid = agent.process.pid
    garble(agent.spool / "spool.db")
    (tmp_path / "go").touch()
    await world.cluster.all_done(jobs, within_s=2 * RECONNECT_S)
    results = [world.cluster.job(job)["result"] for job in jobs]
    assert results == ["waited", *(str(n) for n in range(1, JOBS))]
    assert agent.process.is_running()
    assert agent.process.pid == pid
    assert list(agent.spool.glob("spool.damaged-*/spool.db"))
    await until(lambda: all(row["state"] == "closed" for row in world.cluster.custody()))
