"""A cancellation that meets a failure."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """What `work` comes to; when it is cancelled meanwhile it ends as cancelled, whatever `work` fails with.

    For a loop that goes on after failures of task groups. A `TaskGroup` of Python 3.11 that is cancelled
    while it ends because of a failure raises the failure alone, and the loop would never end.
    """
    task = asyncio.create_task(work, name="apart")
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it has been looked at, and nobody is told
        raise
    return task.result()
