"""Says what waits for its bundle, for `agent status` in another terminal."""

import asyncio
import json
from typing import Any, Final

import structlog

from agent.bundles.supplies import Supplies
from agent.database import WriteFailed
from agent.spool.spool import Spool

log = structlog.get_logger()

EVERY_S: Final = 2.0  # each is a commit
KEPT: Final = "bundles"


async def tell_waits(supplies: Supplies, spool: Spool) -> None:
    """For ever."""
    said = await spool.get_meta(KEPT) or ""
    while True:
        version = supplies.changes.version
        now = json.dumps(_figures(supplies))
        if now != said:
            try:
                await spool.set_meta(KEPT, now)
            except WriteFailed as error:  # a full disk costs what `agent status` shows
                log.warning("spool.refused", key=KEPT, error=str(error))
            said = now
        await asyncio.sleep(EVERY_S)
        await supplies.changes.newer_than(version)


def _figures(supplies: Supplies) -> dict[str, Any]:
    jobs, have, of, why = supplies.waits()
    return {"jobs": jobs, "have": have, "of": of, "why": why, "used": supplies.used_bytes}
