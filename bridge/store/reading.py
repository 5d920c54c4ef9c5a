"""Something in the store that thousands ask for, and that seldom changes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from agent.clock import Clock

T = TypeVar("T")


class SharedReading(Generic[T]):
    """One reading serves all who ask within `fresh_s` seconds, so what others change counts that late."""

    def __init__(self, clock: Clock, fresh_s: float, read: Callable[[], Awaitable[T]]) -> None:
        self._clock = clock
        self._fresh_s = fresh_s
        self._read = read
        self._kept: tuple[T, float] | None = None  # and when it was read; the store wins
        self._changes = 0
        self._reading = asyncio.Lock()

    async def value(self) -> T:
        """Raises what `read` raises, and then the next one who asks reads anew."""
        async with self._reading:  # of many that ask at once, one reads
            now_s, changes = self._clock.monotonic_s(), self._changes
            if self._kept is not None and now_s - self._kept[1] < self._fresh_s:
                return self._kept[0]
            value = await self._read()
            # A change made meanwhile may not be in it: good enough for who asked before, for nobody after.
            self._kept = (value, now_s) if changes == self._changes else None
            return value

    def changed(self) -> None:
        """Whoever asks from now on is told what stands now."""
        self._changes += 1
        self._kept = None
