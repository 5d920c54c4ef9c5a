"""Tokens of a foreign cluster, whose JWT secret we do not know: each is used once against it (DESIGN 5)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from agent.wire.tokens import said_by, split_bearer, token_id
from bridge.agents.taken import TakenTokens
from bridge.errors import ClusterDown, TokenRefused
from bridge.upstream import Upstream

REMEMBER_S: Final = 60.0
IN_USE_S: Final = 2.5  # and so often is it asked about a token with which an agent is linked
LOOK_EVERY_S: Final = 0.5
LOOK_MAX: Final = 25  # questions in one look: 50 a second, and with more than 125 tokens each waits longer
UNASKED_EVERY_S: Final = 10.0
AWAY_MAX_S: Final = 30.0  # the gap between two questions while the cluster is away
ASK_S: Final = 8.0  # an agent waits 10 s for its enrolment
REMEMBER_MAX: Final = 10_000
AT_ONCE: Final = 16  # a fleet that comes back makes no storm at the cluster

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    asked_s: float  # monotonic
    is_good: bool
    claims: Claims


class Introspection:
    """What the cluster said of a token counts for a minute; of one in use it is asked every few seconds.

    While the cluster is away, what it took until then goes on being taken, until its `exp`.
    """

    def __init__(self, upstream: Upstream, clock: Clock, taken: TakenTokens) -> None:
        self._upstream = upstream
        self._clock = clock
        self._taken = taken
        self._known: dict[str, _Known] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def verify(self, bearer: str) -> Claims | None:
        """The claims of a token that the cluster takes, or None.

        Raises `ClusterDown` when the cluster does not say, and did not take this one until it fell silent.
        """
        claims = unverified(bearer)
        if claims is None or claims.expires_s <= self._clock.wall_s():
            return None
        known = self._known.get(bearer)
        if known is None or self._clock.monotonic_s() - known.asked_s >= REMEMBER_S:
            known = await self._asked_or_known(bearer, claims, known)
        return claims if known.is_good else None

    async def refused(self) -> frozenset[TokenId]:
        """Those that the cluster took once and takes no more, as far as any bridge of this store knows.

        Of one that was last used before all of them began it is learnt once its agent has enrolled again.
        """
        return await self._taken.refused()

    async def is_refused(self, token: TokenId) -> bool:
        """As far as is known."""
        return token in await self._taken.refused()

    async def run(self) -> None:
        """For ever: ask about what is in use, paced, and ever more rarely while the cluster is away."""
        gap_s, renewed_s = LOOK_EVERY_S, self._clock.monotonic_s()
        while True:
            await asyncio.sleep(gap_s)
            try:
                is_there = await self.look(1 if gap_s > LOOK_EVERY_S else LOOK_MAX)
                if is_there and self._clock.monotonic_s() - renewed_s >= UNASKED_EVERY_S:
                    renewed_s = self._clock.monotonic_s()
                    await self._taken.renew_unasked()
            except* WriteFailed as errors:
                log.warning("introspection.waits_for_the_store", reason=str(errors.exceptions[0]))
                is_there = True
            gap_s = gap_after(gap_s, is_there=is_there)

    async def look(self, most: int) -> bool:
        """Ask about those whose turn it is, `most` at most. False: the cluster does not answer."""
        due = self._due(await self._taken.in_use())[:most] if self._known else []
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(self._answers(bearer, known.claims)) for bearer, known in due]
        return all(one.result() for one in asking)

    def _due(self, in_use: frozenset[TokenId]) -> list[tuple[str, _Known]]:
        """Of each token one bearer, the one that was asked about last; the longest ago first."""
        now_s, wall_s = self._clock.monotonic_s(), self._clock.wall_s()
        newest: dict[TokenId, tuple[str, _Known]] = {}
        for bearer, known in self._known.items():  # in the order in which they were asked about
            if known.is_good and known.claims.expires_s > wall_s:
                newest[known.claims.token_id] = bearer, known
        return sorted(
            (
                one
                for token, one in newest.items()
                if now_s - one[1].asked_s >= (IN_USE_S if token in in_use else REMEMBER_S)
            ),
            key=lambda one: one[1].asked_s,
        )

    async def _answers(self, bearer: str, claims: Claims) -> bool:
        try:
            await self._asked(bearer, claims)
        except ClusterDown as error:
            log.warning("cluster.down", reason=str(error))
            return False
        return True

    async def _asked_or_known(self, bearer: str, claims: Claims, before: _Known | None) -> _Known:
        try:
            return await self._asked(bearer, claims)
        except ClusterDown as error:
            log.warning("cluster.down", reason=str(error))
            if before is not None and before.is_good:
                return before
            if before is not None or not await self._taken.was_good(bearer, claims.token_id):
                raise
        return self._remember(bearer, _Known(self._clock.monotonic_s() - REMEMBER_S, True, claims))

    async def _asked(self, bearer: str, claims: Claims) -> _Known:
        is_good = await self._is_taken(bearer)
        if is_good:
            await self._taken.note(bearer, claims)
        else:
            await self._refuse(bearer, claims.token_id)
        return self._remember(bearer, _Known(self._clock.monotonic_s(), is_good, claims))

    async def _refuse(self, bearer: str, token: TokenId) -> None:
        """A token that was good ends in every name that uses it; a forged one ends nothing."""
        await self._taken.refuse(bearer, token)
        before = self._known.get(bearer)
        if before is not None and before.is_good:
            log.warning("token.refused", kind="agent", reason="by the cluster", token=token)
            self._known = _without(self._known, token)

    def _remember(self, bearer: str, known: _Known) -> _Known:
        self._known.pop(bearer, None)
        if len(self._known) >= REMEMBER_MAX:
            del self._known[next(iter(self._known))]  # the one that was asked about longest ago
        self._known[bearer] = known
        return known

    async def _is_taken(self, bearer: str) -> bool:
        try:
            async with asyncio.timeout(ASK_S), self._at_once:
                await self._upstream.get("/api/agent_workers/get_min_version", bearer)
        except TokenRefused:
            return False
        except TimeoutError as error:
            raise ClusterDown(f"the cluster did not answer to a token check within {ASK_S:.0f} s") from error
        return True


def gap_after(gap_s: float, *, is_there: bool) -> float:
    """Seconds to the next look, after one that came `gap_s` after its own last."""
    return LOOK_EVERY_S if is_there else min(2 * gap_s, AWAY_MAX_S)


def _without(known: Mapping[str, _Known], token: TokenId) -> dict[str, _Known]:
    """Each of its other bearers is asked about when it comes the next time."""
    return {bearer: one for bearer, one in known.items() if one.claims.token_id != token}


def unverified(bearer: str) -> Claims | None:
    """What a bearer `jwt_agent_<suffix>_<jwt>` says of itself, or None (agent-api.md 1.3)."""
    parts = split_bearer(bearer)
    if parts is None:
        return None
    suffix, token = parts
    try:
        claims = said_by(token)
        return Claims(
            worker=WorkerName(f"ag-{claims['worker_group']}-{suffix}"),
            worker_group=claims["worker_group"],
            tags=frozenset(Tag(tag) for tag in claims["tags"]),
            expires_s=int(claims["exp"]),
            token_id=token_id(bearer),
            shared=claims.get("shared") is True,
        )
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return None
