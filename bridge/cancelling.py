"""A cancellation that meets a failure."""

import asyncio


def heed_cancellation() -> None:
    """To be called where a loop goes on after an `except*` around task groups.

    A `TaskGroup` of Python 3.11 that is cancelled while it ends because of a failure raises the failure
    alone; whoever then goes on would never end. Raises `CancelledError`.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
