"""When a job that waits for its time becomes ready: asked once, and again only after a change."""

import asyncio
from math import inf
from typing import Final

from agent.clock import Clock
from bridge.jobs import transitions
from bridge.store.bulletin import Bulletin
from bridge.store.store import Store

LOOK_AGAIN_S: Final = 30.0  # the wall clock may be set, and a timer does not notice


class Due:
    """Of `scheduled_for`, and of the windows of concurrency limits. Many may wait for it; one asks."""

    def __init__(self, store: Store, bulletin: Bulletin, clock: Clock) -> None:
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._one = asyncio.Lock()
        self._is_known = False
        self._at_s: float | None = None  # wall seconds; None: never

    def forget(self) -> None:
        """Something was pushed, held back or ended, so that another moment may be the next."""
        self._is_known = False

    async def until_s(self) -> float:
        """Seconds until the next moment, above 0: on return what is due by now is ready, and told."""
        while not self._is_known or self._left_s() <= 0:
            async with self._one:
                if not self._is_known:
                    await self._learn()
                if self._left_s() <= 0:
                    await asyncio.shield(
                        self._promote()
                    )  # who is told must be told, whoever leaves meanwhile
        return min(self._left_s(), LOOK_AGAIN_S)

    def _left_s(self) -> float:
        return inf if self._at_s is None else self._at_s - self._clock.wall_s()

    async def _learn(self) -> None:
        self._is_known = True  # before the look: what changes meanwhile makes it unknown again
        try:
            self._at_s = await self._store.read(transitions.next_due)
        except BaseException:
            self._is_known = False
            raise

    async def _promote(self) -> None:
        now_s = self._clock.wall_s()
        await self._bulletin.write(lambda connection, tell: transitions.promote(connection, now_s, tell))
        self._is_known = False
