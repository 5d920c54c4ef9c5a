"""A normal worker that only resolves, in this process, from wheels of the test's own making."""

import os
from pathlib import Path

from bridge.dependencies.resolving import Resolver
from bridge.dependencies.service import Dependencies
from bridge.jobs.model import Pulled
from tests.support.cluster import Running
from tests.support.wheel_index import only_from

WORKER = "wk-normal"


def resolving(cluster: Running, wheels: Path) -> Dependencies:
    environment = only_from(wheels, os.environ) | {"NPM_CONFIG_OFFLINE": "true"}
    return Dependencies(
        cluster.cluster.jobs, cluster.store, cluster.clock, Resolver(environment, cluster.clock)
    )


async def pulled(cluster: Running) -> Pulled | None:
    """The next job that resolves something."""
    return await cluster.cluster.jobs.pull_for_normal_worker(WORKER, ["dependency"], 0)


async def resolve_all(cluster: Running, wheels: Path) -> list[str]:
    """As a worker that comes and finds what waits; the paths, in order."""
    dependencies, done = resolving(cluster, wheels), []
    while (job := await pulled(cluster)) is not None:
        await dependencies.run(job)
        done.append(job.path or "")
    return done
