"""What the spool needs now and then, in small steps: its dedupe memory forgets what is old."""

import asyncio
from typing import Final

import structlog

from agent.database import WriteFailed
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId

log = structlog.get_logger()

STRETCH: Final = 1000  # keys looked at in one step
PAUSE_S: Final = 0.2  # between steps: a million keys take some minutes, at next to no load
EVERY_S: Final = 86_400.0


async def upkeep_of(spool: Spool) -> None:
    """For ever: a walk through the dedupe memory a day. A start never waits for it."""
    start = (JobId(""), Attempt(0))
    while True:
        after = start
        try:
            while (last := await spool.prune_seen(after, STRETCH)) is not None:
                after = last
                await asyncio.sleep(PAUSE_S)
        except WriteFailed as error:
            log.warning("spool.refused", key="seen", error=str(error))  # a full disk: it is pruned tomorrow
        await asyncio.sleep(EVERY_S)
