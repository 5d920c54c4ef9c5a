"""Tokens of a foreign cluster, whose JWT secret we do not know: each is used once against it (DESIGN 5)."""

from typing import Final

import httpx

from agent.clock import Clock
from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.tokens import said_by, split_bearer
from bridge.errors import ClusterDown

REMEMBER_S: Final = 60.0
REQUEST_S: Final = 10.0
REMEMBER_MAX: Final = 10_000


class Introspection:
    """Answers from memory for 60 s (DESIGN section 5)."""

    def __init__(self, base_url: str, clock: Clock) -> None:
        self._client = httpx.AsyncClient(base_url=base_url, timeout=REQUEST_S)
        self._clock = clock
        self._known: dict[str, tuple[float, Claims | None]] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def verify(self, bearer: str) -> Claims | None:
        """The claims of a token that the cluster takes, or None. Raises `ClusterDown`."""
        now_s = self._clock.monotonic_s()
        if bearer in self._known and now_s - self._known[bearer][0] < REMEMBER_S:
            return self._known[bearer][1]
        claims = unverified(bearer)
        if claims is not None and not await self._is_taken(bearer):
            claims = None
        if len(self._known) >= REMEMBER_MAX:
            self._known.clear()
        self._known[bearer] = (now_s, claims)
        return claims

    async def _is_taken(self, bearer: str) -> bool:
        try:
            response = await self._client.get(
                "/api/agent_workers/get_min_version", headers={"Authorization": f"Bearer {bearer}"}
            )
        except httpx.HTTPError as error:
            raise ClusterDown(f"the cluster does not answer: {type(error).__name__}") from error
        if response.status_code in (401, 403):
            return False
        if not response.is_success:
            raise ClusterDown(f"the cluster answered {response.status_code} to a token check")
        return True


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
        )
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return None
