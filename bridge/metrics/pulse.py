"""Whether the store's writer answers at all: asked now and then, so that who looks need not wait for it."""

import asyncio
from contextlib import suppress
from typing import Final

from agent.clock import Clock
from agent.database import DatabaseError
from bridge.store.store import Store

EVERY_S: Final = 5.0
SILENT_S: Final = 30.0  # a leader that hangs may hold up each write of the others for 10 s


class Pulse:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._answered_s = clock.monotonic_s()

    async def run(self) -> None:
        """For ever. A refusal is an answer too: a full disk is not mended by a new start."""
        while True:
            with suppress(DatabaseError):
                await self._store.write(lambda _: None)
            self._answered_s = self._clock.monotonic_s()
            await asyncio.sleep(EVERY_S)

    @property
    def beats(self) -> bool:
        return self._clock.monotonic_s() - self._answered_s < SILENT_S
