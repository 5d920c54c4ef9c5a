"""A cluster's schedules alone, with a worker that ends each job at once; SIGKILL at one moment of a tick.

    python -m tests.support.ticking STORE MOMENT

The moments are the keys of `MOMENTS`; at any other word it lives on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agent.clock import SystemClock
from bridge.jobs import push
from bridge.jobs.model import Completion
from bridge.jobs.service import Jobs
from bridge.store.connection import open_store
from bridge.web.cluster import open_cluster
from tests.support.cluster import BASE_URL, PASSWORD

MOMENTS: Final[dict[str, tuple[Any, str]]] = {
    "the job is pushed, the schedule has not moved on": (push, "push"),
    "both are committed": (Jobs, "_wake"),
}


def dying(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **named: Any) -> Any:
        function(*args, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return wrapped


async def tick(store_path: Path) -> None:
    store, clock = await open_store(store_path), SystemClock()
    cluster = await open_cluster(store, clock, BASE_URL, PASSWORD)
    async with asyncio.TaskGroup() as group:
        group.create_task(cluster.schedules.run(), name="schedules")
        group.create_task(work(cluster.jobs), name="worker")


async def work(jobs: Jobs) -> None:
    while True:
        job = await jobs.pull("ag-x-1", ["bash"])
        if job is None:
            await jobs.wait_for_push(1)
        else:
            await jobs.complete("main", job.job_id, Completion(success=True, result=b"1"))


if __name__ == "__main__":
    path, moment = sys.argv[1:]
    if moment in MOMENTS:
        owner, name = MOMENTS[moment]
        setattr(owner, name, dying(getattr(owner, name)))
    asyncio.run(tick(Path(path)))
