"""GET /metrics: for Prometheus, and for whoever holds the token that it shows."""

import hmac
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from agent.database import DatabaseError
from agent.logs import Secret
from bridge.errors import NotAuthorized
from bridge.metrics import families
from bridge.metrics.census import Census, Censuses
from bridge.metrics.families import Standing
from bridge.metrics.figures import REGISTRY
from bridge.tokens.gate import bearer_of
from bridge.web.described import TEXT, Described

log = structlog.get_logger()

CLOSED: Final = "Unauthorized: /metrics asks for METRICS_TOKEN of the bridge as a bearer token"

RequireSuperadmin = Callable[[Request], Awaitable[str]]


class MetricsRoutes:
    def __init__(
        self,
        censuses: Censuses,
        standing: Callable[[], Standing],
        token: Secret | None,
        superadmin: RequireSuperadmin | None,
        *,
        per_worker: bool,
    ) -> None:
        """`token` None: only a superadmin may look; `superadmin` None: nobody is one here."""
        self._censuses = censuses
        self._standing = standing
        self._token = token
        self._superadmin = superadmin
        self._per_worker = per_worker
        self._census: Census | None = None
        self._text = b""

    def all(self) -> Sequence[BaseRoute]:
        return [Described("GET", "/metrics", self.metrics, gives=str, media=TEXT)]

    async def metrics(self, request: Request) -> Response:
        """What is counted, as Prometheus reads it; the bearer is METRICS_TOKEN or a superadmin's token."""
        await self._may_look(request)
        counted = b""
        try:
            counted = self._counted(await self._censuses.now())
        except DatabaseError as error:
            log.warning("metrics.without_store", reason=str(error))
        own = families.of_bridge(self._standing(), store_up=bool(counted))
        text = generate_latest(REGISTRY) + text_of([*own]) + counted
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})

    def _counted(self, census: Census) -> bytes:
        """Written once for all who look at this census: of ten thousand agents it takes a while."""
        if census is not self._census:
            found = [*families.of_cluster(census)]
            if self._per_worker:
                found += families.of_each_agent(census)
            self._census, self._text = census, text_of(found)
        return self._text

    async def _may_look(self, request: Request) -> None:
        """Raises `NotAuthorized` and `PermissionDenied`."""
        if self._token is not None and "authorization" in request.headers:
            shown = bearer_of(request).encode(errors="replace")
            if hmac.compare_digest(shown, self._token.reveal().encode()):
                return
        if self._superadmin is None:
            raise NotAuthorized(CLOSED)
        await self._superadmin(request)


class _Given(Collector):
    def __init__(self, found: Sequence[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from self._found


def text_of(found: Sequence[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Given(found))
    return generate_latest(registry)
