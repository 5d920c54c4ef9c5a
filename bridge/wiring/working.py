"""The normal worker of a process: in `serve` beside all else, in `worker` alone."""

import asyncio
import hashlib
import secrets
import signal
import socket
import string
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from agent.clock import Clock
from agent.systemd import Systemd, loop_turns
from agent.wire.claims import WorkerName
from agent.wire.tokens import instance_of
from bridge.agents.api import API_VERSION
from bridge.config import Settings
from bridge.dependencies.resolving import Resolver
from bridge.dependencies.service import Dependencies
from bridge.flows.expressions.engine import Expressions
from bridge.jobs.model import Pulled
from bridge.metrics.figures import FLOW_TURN_S
from bridge.store.leading import Part
from bridge.store.on_server import OnServer
from bridge.store.store import Store
from bridge.web.cluster import Cluster
from bridge.worker.executing import executor_in
from bridge.worker.folder import Folder
from bridge.worker.handlers import Run, by_kind, to_the_end, until_stopped
from bridge.worker.machine import Machine
from bridge.worker.scripts import Scripts
from bridge.worker.served import Served
from bridge.worker.settings import WorkerSettings
from bridge.worker.worker import About, Worker

DIED: Final = "its worker died"
STOP_S: Final = 5.0  # for what runs to end by itself; whoever stops a container waits 10 s
SUFFIX_CHARS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Working:
    """A worker, and what stands beside it."""

    work: Part
    served: Part
    folder: Folder  # of its scripts, held as long as this


async def working_of(
    settings: Settings, asked: WorkerSettings, cluster: Cluster, store: Store, clock: Clock
) -> Working:
    """Raises `ConfigError`."""
    served = Served(asked.tags, settings.tags, cluster.workspaces.ids)
    await served.look()
    about = About(
        name=_name(settings.store, asked.group),
        group=asked.group,
        machine=Machine.here(f"v{API_VERSION}"),
        slots=asked.slots,
        tags=served.now,
    )
    folder = Folder(asked.folder or store.key_path.with_suffix(".work"))
    scripts = Scripts(
        cluster.jobs,
        cluster.environments,
        executor_in(folder.path),
        worker=about.name,
        worker_group=about.group,
        hostname=about.machine.hostname,
        base_url=settings.base_url,
        serves=served.now,
    )
    resolver = Resolver(settings.registries, clock)
    dependencies = Dependencies(cluster.jobs, store, clock, resolver)
    return Working(partial(_work, about, cluster, scripts, dependencies, clock), served.run, folder)


async def _work(
    about: About, cluster: Cluster, scripts: Scripts, dependencies: Dependencies, clock: Clock
) -> None:
    """What an earlier life had in hand runs again, or ends, as its rules say (I1, I2)."""
    await cluster.holding.take_from(WorkerName(about.name), DIED, is_trusted=True)
    async with Expressions() as expressions:
        turns = to_the_end(_timed(cluster.turns(expressions).turn))
        resolving = until_stopped(dependencies.run, cluster.jobs)
        handlers = by_kind(scripts=scripts.run, turns=turns, dependencies=resolving)
        await Worker(about, cluster.jobs, cluster.workers, handlers, clock).run()


def _timed(turn: Run) -> Run:
    async def timed(job: Pulled) -> None:
        with FLOW_TURN_S.time():
            await turn(job)

    return timed


async def until_told(parts: Mapping[str, Part], working: Working, cluster: Cluster, systemd: Systemd) -> None:
    """Work, and all that a worker's process has beside it, until SIGTERM or SIGINT.

    Then it takes nothing new; what has not ended within `STOP_S` is stopped, and is somebody else's.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as beside:
        others = [beside.create_task(part(), name=name) for name, part in parts.items()]
        others.append(beside.create_task(working.served(), name="tags"))
        work = beside.create_task(working.work(), name="worker")
        others.append(beside.create_task(systemd.watched(loop_turns, lambda: "works"), name="alive"))
        systemd.ready("works")
        await told.wait()
        systemd.stopping("stops what has not ended")
        cluster.jobs.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.wait((work,))
        work.cancel()
        await asyncio.wait((work,))
        for task in others:
            task.cancel()


def _name(store: Path | OnServer, group: str) -> str:
    """On a file the same at every start, so that what an earlier life had is known to be nobody's."""
    host = instance_of(socket.gethostname()) or "bridge"
    if isinstance(store, Path):
        own = hashlib.sha256(str(store.resolve()).encode()).hexdigest()[:5]
    else:
        own = "".join(secrets.choice(SUFFIX_CHARS) for _ in range(5))
    return f"wk-{group}-{host}-{own}"
