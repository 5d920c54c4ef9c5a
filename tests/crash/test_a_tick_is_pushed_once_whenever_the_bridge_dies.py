"""`kill -9` around the commit that pushes a tick's job and moves its schedule on."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from dev_tools.places import ROOT
from tests.support.cluster import running_cluster
from tests.support.ticking import MOMENTS
from tests.support.until import until

EVERY_SECOND = {
    "path": "u/a/s", "schedule": "* * * * * *", "timezone": "UTC", "script_path": "f/a", "args": {},
    "enabled": True,
}  # fmt: skip


@asynccontextmanager
async def ticking(store: Path, moment: str = "none") -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.ticking", str(store), moment, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def ticks_of(store: Path) -> list[int]:
    """The seconds whose ticks have pushed a job."""
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
        return [int(row[0]) for row in connection.execute("SELECT scheduled_for FROM job ORDER BY id")]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_each_tick_once_and_none_for_the_time_it_was_dead(tmp_path: Path, moment: str) -> None:
    store = tmp_path / "bridge.db"
    async with running_cluster(tmp_path) as cluster:
        script = {"path": "f/a", "content": "true", "language": "bash"}
        await cluster.admin.post("/api/w/main/scripts/create", json=script)
        assert (await cluster.admin.post("/api/w/main/schedules/create", json=EVERY_SECOND)).is_success
    for _ in range(2):
        async with ticking(store, moment) as dying:
            assert await dying.wait() == -9
        before = len(ticks_of(store))
        async with ticking(store):
            started_s = time.time()
            await until(lambda before=before: len(ticks_of(store)) >= before + 2, within_s=60)  # type: ignore[misc]  # no inference
        seconds = ticks_of(store)
        assert len(set(seconds)) == len(seconds)
        missed = [second for second in seconds[before:] if second < started_s]
        assert len(missed) <= 1, (seconds, started_s)
