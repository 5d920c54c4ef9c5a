"""What the spool needs now and then, in small steps and beside the work: a start never waits for it."""

import asyncio
from typing import Final

import structlog

from agent.database import WriteFailed
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId

log = structlog.get_logger()

STRETCH: Final = 1000  # keys looked at in one step
PAUSE_S: Final = 0.2  # between steps: a million keys take some minutes, at next to no load
EVERY_S: Final = 3600.0
WALK_EVERY: Final = 24  # hours: a walk through the dedupe memory


async def upkeep_of(spool: Spool) -> None:
    """For ever. An agent that runs for years forgets as one that is restarted does (I6)."""
    hours = 0
    while True:
        try:
            if hours == 0:
                await spool.take_stock()
            await spool.note_lifetime()
            if hours % WALK_EVERY == 0:
                await _walk(spool)
        except WriteFailed as error:
            log.warning("spool.refused", key="seen", error=str(error))  # a full disk: another time
        hours += 1
        await asyncio.sleep(EVERY_S)


async def _walk(spool: Spool) -> None:
    after = (JobId(""), Attempt(0))
    while (last := await spool.prune_seen(after, STRETCH)) is not None:
        after = last
        await asyncio.sleep(PAUSE_S)
