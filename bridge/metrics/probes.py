"""GET /livez and /readyz: for whoever starts this process again, or sends it requests. They tell no names."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from agent.clock import Clock
from agent.database import DatabaseError
from bridge.metrics.families import Standing
from bridge.metrics.pulse import Pulse
from bridge.store.statements import Statement
from bridge.store.store import Store
from bridge.web.bodies import json_reply
from bridge.web.described import Described

READY_S: Final = 3.0
FRESH_S: Final = 1.0  # however many ask, the store is asked once a second
ONE: Final = Statement("SELECT 1", "SELECT 1")

UNAVAILABLE: Final = 503
NO_ANSWER: Final = "the store's writer does not answer"
NO_STORE: Final = "the store does not answer"
NO_BROKER: Final = "no session with RabbitMQ"


class Alive(msgspec.Struct):
    alive: bool
    missing: list[str]


class Ready(msgspec.Struct):
    ready: bool
    leads: bool
    missing: list[str]
    without: list[str]  # what it is ready without


class Probes:
    def __init__(
        self,
        store: Store,
        pulse: Pulse,
        standing: Callable[[], Standing],
        clock: Clock,
        ready_s: float = READY_S,
    ) -> None:
        self._ready_s = ready_s
        self._store = store
        self._standing = standing
        self._pulse = pulse
        self._reader = Look(self._reader_answers, clock)

    def all(self) -> Sequence[BaseRoute]:
        return [
            Described("GET", "/livez", self.livez, gives=Alive, is_open=True),
            Described("GET", "/readyz", self.readyz, gives=Ready, is_open=True),
        ]

    async def livez(self, _: Request) -> Response:
        """200 while the process does its work; 503 when it hangs, and only a new start helps."""
        missing = [] if self._pulse.beats else [NO_ANSWER]
        return _reply(Alive(not missing, missing), is_well=not missing)

    async def readyz(self, _: Request) -> Response:
        """200 while requests are answered and agents let in; 503 says what is missing."""
        standing = self._standing()
        missing = [] if await self._reader.holds() else [NO_STORE]
        broker = [NO_BROKER] if standing.broker_up is False else []
        if standing.leads:
            missing += broker
            broker = []
        return _reply(Ready(not missing, standing.leads, missing, broker), is_well=not missing)

    async def _reader_answers(self) -> bool:
        try:
            async with asyncio.timeout(self._ready_s):
                await self._store.read(lambda db: db.execute(ONE).fetchone())
        except (TimeoutError, DatabaseError):
            return False
        return True


class Look:
    """One answer for all who ask in the same moment."""

    def __init__(self, look: Callable[[], Awaitable[bool]], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._looking = asyncio.Lock()
        self._seen: tuple[float, bool] | None = None

    async def holds(self) -> bool:
        async with self._looking:
            if self._seen is None or self._clock.monotonic_s() - self._seen[0] > FRESH_S:
                holds = await self._look()
                self._seen = (self._clock.monotonic_s(), holds)
            return self._seen[1]


def _reply(said: Alive | Ready, *, is_well: bool) -> Response:
    return json_reply(said, 200 if is_well else UNAVAILABLE)
