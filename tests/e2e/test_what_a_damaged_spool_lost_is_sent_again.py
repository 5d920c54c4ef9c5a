"""A spool damaged while its agent was down: the agent starts by itself, and no job stays open (I1)."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

JOBS = 20
USER_VERSION = 60  # its offset in the header of a SQLite file
Damage = Callable[[Path], None]


def cut_the_wal_in_half(database: Path) -> None:
    wal = database.with_name("spool.db-wal")
    os.truncate(wal, wal.stat().st_size // 2)


def zero_the_first_page(database: Path) -> None:
    write(database, 0, bytes(4096))


def garble_the_middle(database: Path) -> None:
    write(database, database.stat().st_size // 2, os.urandom(8192))


def flip_a_bit_of_the_schema(database: Path) -> None:
    write(database, USER_VERSION, b"\x40")


def misspell_a_state(database: Path) -> None:
    change(database, "UPDATE held SET state = 'rfady' WHERE state = 'ready'")


def misspell_a_delivery(database: Path) -> None:
    change(database, "UPDATE held SET delivery = 'at_mosT_once' WHERE delivery = 'at_most_once'")


def swap_two_keys(database: Path) -> None:
    """As if the rows' keys had rotted into other jobs' names."""
    change(database, "UPDATE held SET job_id = 'x' || substr(job_id, 2) WHERE state = 'ready'")


def remove_it(database: Path) -> None:
    for part in database.parent.glob("spool.db*"):
        part.unlink()


def write(database: Path, offset: int, data: bytes) -> None:
    """Into the file itself, once all that was committed is in it."""
    change(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def change(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


def rows_of(world: World, jobs: list[str]) -> list[dict[str, Any]]:
    return [row for row in world.cluster.custody() if row["job_id"] in jobs]


@pytest.mark.parametrize(
    "damage",
    [
        cut_the_wal_in_half,
        zero_the_first_page,
        garble_the_middle,
        flip_a_bit_of_the_schema,
        misspell_a_state,
        misspell_a_delivery,
        swap_two_keys,
        remove_it,
    ],
)
async def test_every_job_ends_once(standing: World, tmp_path: Path, damage: Damage) -> None:
    world, tag = standing, damage.__name__
    agent = await world.agent(tag)
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo waited"
    jobs = [world.cluster.submit(wait, tag)]
    await world.cluster.running(jobs[0])
    jobs += [world.cluster.submit(f"echo {n}", tag) for n in range(1, JOBS)]
    once = world.cluster.submit("echo once", tag, delivery="at_most_once")
    for job in (*jobs, once):
        await world.cluster.accepted(job)
    agent.kill()
    damage(agent.spool / "spool.db")
    (tmp_path / "go").touch()
    await agent.start()
    await world.cluster.all_done([*jobs, once], within_s=RECONNECT_S)
    results = [world.cluster.job(job)["result"] for job in jobs]
    assert results == ["waited", *(str(n) for n in range(1, JOBS))]
    ended = world.cluster.job(once)
    assert ended["success"] or ended["result"]["error"]["name"] == "Rejected"  # I2: at most once
    assert len(world.cluster.attempts(once)) == 1
    assert set(world.cluster.completed()) >= {*jobs, once}
    rows = rows_of(world, [*jobs, once])
    assert len({row["custodian"] for row in rows} - {None}) == 1  # the same worker still
    await until(lambda: all(row["state"] == "closed" for row in rows_of(world, [*jobs, once])))
    agent.stop()
