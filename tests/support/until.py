"""Wait for a condition instead of for time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

FIRST_PAUSE_S: Final = 0.01
LAST_PAUSE_S: Final = 0.1  # a look costs the process that is looked at, and many tests look at once


async def until(condition: Callable[[], T | Awaitable[T]], within_s: float = 10) -> T:
    """The first truthy value of `condition` (a plain or async callable).

    Fails with what it last saw. An AssertionError raised inside counts as "not yet".
    """
    end_s = time.monotonic() + within_s
    pause_s = FIRST_PAUSE_S
    while True:
        seen = await _look(condition)
        if seen and not isinstance(seen, AssertionError):
            return seen
        if time.monotonic() > end_s:
            raise AssertionError(f"not within {within_s} s: {_text_of(condition)}; last seen: {seen!r}")
        await asyncio.sleep(pause_s)
        pause_s = min(1.3 * pause_s, LAST_PAUSE_S)


async def _look(condition: Callable[[], T | Awaitable[T]]) -> T | AssertionError:
    try:
        seen = condition()
        return await seen if inspect.isawaitable(seen) else seen
    except AssertionError as not_yet:
        return not_yet


def _text_of(condition: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
