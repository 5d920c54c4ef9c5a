"""GET /metrics: for Prometheus, and for whoever holds the token that it shows."""

import hmac
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from agent.database import DatabaseError
from agent.logs import Secret
from bridge.errors import NotAuthorized
from bridge.metrics import families
from bridge.metrics.census import Censuses
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

    def all(self) -> Sequence[BaseRoute]:
        return [Described("GET", "/metrics", self.metrics, gives=str, media=TEXT)]

    async def metrics(self, request: Request) -> Response:
        """What is counted, as Prometheus reads it; the bearer is METRICS_TOKEN or a superadmin's token."""
        await self._may_look(request)
        found: list[GaugeMetricFamily] = []
        try:
            census = await self._censuses.now()
            found = [*families.of_cluster(census)]
            if self._per_worker:
                found += families.of_each_agent(census)
        except DatabaseError as error:
            log.warning("metrics.without_store", reason=str(error))
        own = families.of_bridge(self._standing(), store_up=bool(found))
        text = generate_latest(REGISTRY) + text_of([*own, *found])
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})

    async def _may_look(self, request: Request) -> None:
        """Raises `NotAuthorized` and `PermissionDenied`."""
        if self._token is not None and hmac.compare_digest(
            bearer_of(request).encode(), self._token.reveal().encode()
        ):
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
