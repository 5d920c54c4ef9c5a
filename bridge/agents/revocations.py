"""Carries out the end of agent tokens: connections are closed, what their agents hold is taken from them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import ReadFailed, WriteFailed
from agent.wire.claims import TokenId, WorkerName
from agent.wire.tokens import broker_login
from bridge.errors import BrokerDown, ClusterDown
from bridge.tokens.seen import SeenTokens, Standing

log = structlog.get_logger()

LOOK_EVERY_S: Final = 1.0
CLOSED_AGAIN_S: Final = 10.0  # a log-in that was allowed just before the end may be in the making for so long

Revoked = Callable[[], Awaitable[frozenset[TokenId]]]
EndConnections = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker whose last token has ended. Without trust nothing that it still brings is believed."""

    worker: WorkerName
    is_trusted: bool
    why: str


Take = Callable[[Ended], Awaitable[None]]  # all that the worker holds


class Revocations:
    def __init__(
        self,
        seen: SeenTokens,
        revoked: Revoked,
        end_connections: EndConnections,
        clock: Clock,
    ) -> None:
        """`revoked`: the tokens that no longer hold before their time."""
        self._seen = seen
        self._revoked = revoked
        self._end_connections = end_connections
        self._clock = clock
        self._just_ended: dict[TokenId, tuple[float, str]] = {}  # monotonic, why

    async def run(self, takers: Sequence[Take]) -> None:
        """For ever. What fails is met again at the next look."""
        while True:
            try:
                await self._look(takers)
            except (BrokerDown, ClusterDown, ReadFailed, WriteFailed) as error:
                log.warning("revocation.waits", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, takers: Sequence[Take]) -> None:
        for token, standing in (await self._seen.ending(await self._revoked())).items():
            await self._end(token, standing, takers)
        for token, (ended_s, why) in list(self._just_ended.items()):
            if self._clock.monotonic_s() - ended_s > CLOSED_AGAIN_S:
                del self._just_ended[token]
            await self._close(token, why)

    async def _end(self, token: TokenId, standing: Standing, takers: Sequence[Take]) -> None:
        """Connections first: a consumer that is open goes on receiving whatever becomes of its token."""
        why = f"its token was {standing}" if standing is Standing.REVOKED else "its token has expired"
        self._just_ended[token] = (self._clock.monotonic_s(), why)
        await self._close(token, why)
        for user in await self._seen.users_of(token):
            if user.is_last:
                ended = Ended(user.worker, standing is not Standing.REVOKED, why)
                for take in takers:
                    await take(ended)
            log.warning("token.ended", worker=user.worker, token=token, reason=why, custody=user.is_last)
        await self._seen.carried_out(token, standing)

    async def _close(self, token: TokenId, why: str) -> None:
        for user in await self._seen.users_of(token):
            await self._end_connections(broker_login(user.worker, token), why)
