"""What is seen of a bridge from outside: its figures, and its probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.routing import BaseRoute

from agent.clock import Clock
from bridge.config import Settings
from bridge.fleet.service import Fleets
from bridge.metrics import figures
from bridge.metrics.census import Censuses
from bridge.metrics.lag import watch_lag
from bridge.metrics.probes import Probes
from bridge.metrics.pulse import Pulse
from bridge.metrics.routes import MetricsRoutes
from bridge.metrics.standing import Standings
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.letters import LetterKind
from bridge.store.bulletin import Bulletin
from bridge.store.leading import Leadership, Part
from bridge.store.store import Store
from bridge.web.cluster import Cluster

if TYPE_CHECKING:
    from bridge.pages.assembly import Pages  # the templates, which `relay` does without

OUTCOMES: Final = ("success", "failure", "canceled", "expired", "lost")
STATUSES: Final = ("success", "failure", "canceled")
REFUSALS: Final = {"api": ("unproved", "not_allowed"), "broker": ("login", "vhost", "resource", "undecided")}


@dataclass(frozen=True, slots=True)
class Watching:
    routes: Sequence[BaseRoute]
    parts: dict[str, Part]


def watching_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    leadership: Leadership,
    desk: Desk | None,
    pages: "Pages | None" = None,
    cluster: Cluster | None = None,
) -> Watching:
    """`pages` None: nothing else reads the fleet here. `cluster` None: only METRICS_TOKEN opens /metrics."""
    begin_at_zero()
    record = Ledger(store, clock).presence.record
    fleets = Fleets(store, Bulletin(store), clock, record) if pages is None else pages.fleets
    standings = Standings(
        lambda: leadership.leads,
        None if desk is None else lambda: desk.broker is not None,
        None if settings.tls is None else settings.tls.cert,
        clock,
    )
    metrics = MetricsRoutes(
        Censuses(store, fleets, clock),
        standings.now,
        settings.metrics_token,
        None if cluster is None else cluster.require_superadmin,
        per_worker=settings.metrics_per_worker,
    )
    pulse = Pulse(store, clock)
    probes = Probes(store, pulse, standings.now, clock)
    parts: dict[str, Part] = {"event loop's lag": watch_lag, "store's pulse": pulse.run}
    return Watching([*probes.all(), *metrics.all()], parts)


def begin_at_zero() -> None:
    """Else the first refusal of its kind would be no increase of anything."""
    for letter in LetterKind:
        figures.LETTERS_KEPT.labels(letter.value)
    for outcome in OUTCOMES:
        figures.RESULTS_RECORDED.labels(outcome)
    for status in STATUSES:
        figures.JOBS_COMPLETED.labels(status)
    for door, reasons in REFUSALS.items():
        for reason in reasons:
            figures.AUTH_REFUSALS.labels(door, reason)
    for reason in ("unroutable", "no_confirm"):
        figures.PUBLISH_FAILURES.labels(reason)
    for kind in ("read", "write"):
        figures.STORE_FAILURES.labels(kind)
