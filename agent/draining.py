"""How far a drain is, for whoever has pressed Ctrl-C: in one line, which the log's lines overwrite."""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from agent.progress import Line

LOOK_S: Final = 0.5


async def shown(left: Callable[[], int]) -> None:
    """For ever, on a terminal. `left`: jobs that run still, and results that have not left."""
    if not sys.stderr.isatty():
        return
    total = left()
    line = Line("draining", max(total, 1), sys.stderr)
    try:
        while True:
            await asyncio.sleep(LOOK_S)
            line.reach(total - left())
    finally:
        line.clear()
