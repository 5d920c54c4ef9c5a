"""Tokens of a foreign cluster, whose JWT secret we do not know: each is used once against it (DESIGN 5)."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from agent.clock import Clock
from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from agent.wire.tokens import said_by, split_bearer, token_id
from bridge.errors import ClusterDown, TokenRefused
from bridge.upstream import Upstream

REMEMBER_S: Final = 60.0
ASK_S: Final = 8.0  # an agent waits 10 s for its enrolment
REMEMBER_MAX: Final = 10_000
AT_ONCE: Final = 16  # a fleet that comes back makes no storm at the cluster

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Known:
    asked_s: float  # monotonic
    is_good: bool


class Introspection:
    """Asks the cluster once a minute about a token that is in use.

    While the cluster is away, what it took before goes on being taken, until its `exp`.
    """

    def __init__(self, upstream: Upstream, clock: Clock) -> None:
        self._upstream = upstream
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def verify(self, bearer: str) -> Claims | None:
        """The claims of a token that the cluster takes, or None.

        Raises `ClusterDown` when the cluster does not say, and never took this one.
        """
        claims = unverified(bearer)
        if claims is None or claims.expires_s <= self._clock.wall_s():
            return None
        known = self._known.get(bearer)
        if known is None or _is_old(known, self._clock.monotonic_s()):
            known = await self._asked(bearer, known)
        return claims if known.is_good else None

    async def refused(self) -> frozenset[TokenId]:
        """Those that the cluster took once and takes no more. What is in use is asked about once a minute.

        Of a token that was last used before this process began, it learns when it is used again.
        """
        now_s = self._clock.monotonic_s()
        due = [bearer for bearer, known in self._known.items() if known.is_good and _is_old(known, now_s)]
        try:
            for bearer in due:
                await self._asked(bearer, None)
        except ClusterDown as error:
            log.warning("cluster.down", reason=str(error))
        return frozenset(token_id(bearer) for bearer, known in self._known.items() if not known.is_good)

    async def is_refused(self, token: TokenId) -> bool:
        """As far as is known."""
        return any(token_id(bearer) == token for bearer, known in self._known.items() if not known.is_good)

    async def _asked(self, bearer: str, before: _Known | None) -> _Known:
        try:
            is_good = await self._is_taken(bearer)
        except ClusterDown as error:
            if before is None or not before.is_good:
                raise
            log.warning("cluster.down", reason=str(error))
            return before
        self._known.pop(bearer, None)
        if len(self._known) >= REMEMBER_MAX:
            del self._known[next(iter(self._known))]  # the one that was asked about longest ago
        self._known[bearer] = _Known(self._clock.monotonic_s(), is_good)
        return self._known[bearer]

    async def _is_taken(self, bearer: str) -> bool:
        try:
            async with asyncio.timeout(ASK_S), self._at_once:
                await self._upstream.get("/api/agent_workers/get_min_version", bearer)
        except TokenRefused:
            return False
        except TimeoutError as error:
            raise ClusterDown(f"the cluster did not answer to a token check within {ASK_S:.0f} s") from error
        return True


def _is_old(known: _Known, now_s: float) -> bool:
    return now_s - known.asked_s >= REMEMBER_S


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
