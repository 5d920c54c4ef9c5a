"""What a bridge does again and again while it runs."""

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

import structlog

from agent.database import WriteFailed
from bridge.errors import ClusterDown
from bridge.web.cluster import Cluster

if TYPE_CHECKING:
    from bridge.relay.sources.http import HTTPSource

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 10.0
ANNOUNCE_EVERY_S: Final = 10.0
LOOK_FOR_UNTOLD_EVERY_S: Final = 30.0


async def sweep(cluster: Cluster, timeout_s: float) -> None:
    while True:
        await asyncio.sleep(min(SWEEP_EVERY_S, timeout_s))
        try:
            await cluster.jobs.sweep_zombies(timeout_s)
        except WriteFailed as error:
            log.warning("sweep.waits_for_the_store", reason=str(error))


async def keep_up(cluster: Cluster, timeout_s: float) -> None:
    """The leader's bridge takes jobs from who is silent; this one only knows who is, for when it leads."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with suppress(WriteFailed):
            await cluster.jobs.silent(timeout_s)


async def look_for_untold(cluster: Cluster) -> None:
    """An idle agent is looked for no job, so no news of one may be lost for long, whatever loses it."""
    while True:
        await asyncio.sleep(LOOK_FOR_UNTOLD_EVERY_S)
        try:
            await cluster.jobs.look_for_untold()
        except WriteFailed as error:
            log.warning("jobs.not_looked_for", reason=str(error))


async def announce(source: "HTTPSource") -> None:
    """Tell the upstream cluster who we are as soon as it listens, and that we are still there."""
    ping_type: Literal["Initial", "MainLoop"] = "Initial"
    while True:
        try:
            await source.announce(socket.gethostname(), ping_type)
            ping_type = "MainLoop"
        except ClusterDown as error:
            log.warning("cluster.down", reason=str(error))
            ping_type = "Initial"
        await asyncio.sleep(ANNOUNCE_EVERY_S)
