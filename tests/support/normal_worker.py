"""A normal worker in the test's own process, on the cluster that the test has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bridge.dependencies.resolving import Resolver
from bridge.dependencies.service import Dependencies
from bridge.flows.expressions.engine import Expressions
from bridge.worker.executing import executor_in
from bridge.worker.handlers import by_kind, to_the_end, until_stopped
from bridge.worker.machine import Machine
from bridge.worker.scripts import Scripts
from bridge.worker.worker import About, Worker
from tests.support.cluster import Running

NAME: Final = "wk-default-here-a1b2c"


@asynccontextmanager
async def working(
    running: Running, folder: Path, *tags: str, name: str = NAME
) -> AsyncIterator[asyncio.Task[None]]:
    """While the block lasts; at its end it is stopped at once."""
    cluster = running.cluster
    about = About(name=name, group="default", machine=Machine.here("v1"), slots=2, tags=lambda: tags)
    scripts = Scripts(
        cluster.jobs, cluster.environments, executor_in(folder), worker=name, worker_group="default",
        hostname="here", base_url="http://cluster", serves=lambda: tags,
    )  # fmt: skip
    async with Expressions() as expressions:
        turns, resolver = cluster.turns(expressions), Resolver({}, running.clock)
        dependencies = Dependencies(cluster.jobs, running.store, running.clock, resolver)
        handlers = by_kind(scripts.run, to_the_end(turns.turn), until_stopped(dependencies.run, cluster.jobs))
        worker = Worker(about, cluster.jobs, cluster.workers, handlers, running.clock)
        task = asyncio.create_task(worker.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait((task,))
