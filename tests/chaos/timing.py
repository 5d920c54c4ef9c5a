"""Lengths of time that are a run's input: how long a fault lasts, how often the run looks."""

import asyncio


async def pass_time(seconds: float) -> None:
    """Returns after `seconds`. It stands for nothing that has to happen meanwhile (that is `until`)."""
    timer = asyncio.get_running_loop().create_future()
    handle = asyncio.get_running_loop().call_later(max(0.0, seconds), timer.set_result, None)
    try:
        await timer
    finally:
        handle.cancel()
