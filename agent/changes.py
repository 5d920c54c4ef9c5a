"""A count of changes that can be waited on, so that nobody polls and no change is missed."""

import asyncio


class Changes:
    def __init__(self) -> None:
        self.version = 0  # grows with every change
        self._changed = asyncio.Event()  # set for a moment only: it wakes whoever waits then

    def note(self) -> None:
        """Something changed: wake all who wait."""
        self.version += 1
        self._changed.set()
        self._changed.clear()

    async def newer_than(self, version: int) -> None:
        """Wait until something has changed since `version` was the version."""
        while self.version <= version:
            await self._changed.wait()
