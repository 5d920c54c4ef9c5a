"""How late the event loop is: what every request and every agent waits for, whatever else is quick."""

import asyncio
from typing import Final

from bridge.metrics.figures import LOOP_LAG_S

EVERY_S: Final = 1.0


async def watch_lag() -> None:
    """For ever."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + EVERY_S
        await asyncio.sleep(EVERY_S)
        LOOP_LAG_S.observe(max(0.0, loop.time() - due_s))
