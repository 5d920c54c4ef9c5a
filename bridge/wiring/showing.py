"""The pages of `python -m bridge serve`, and what stands beside them."""

from collections.abc import Callable
from functools import partial

from agent.clock import Clock
from bridge.config import Settings
from bridge.fleet.keeping import Keeping
from bridge.pages.assembly import Pages, open_pages
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.quarantine import Quarantine
from bridge.relay.signer import Signer
from bridge.runs.carriage import Carriage
from bridge.store.leading import Part
from bridge.store.store import Store
from bridge.web.cluster import Cluster


def pages_of(
    settings: Settings,
    cluster: Cluster,
    store: Store,
    ledger: Ledger,
    clock: Clock,
    signer: Signer,
    desk: Desk | None,
    letters: DeadLetters,
    quarantine: Quarantine,
    carriage: Carriage | None,
) -> Pages:
    return open_pages(
        cluster,
        store,
        ledger,
        clock,
        signer,
        None if desk is None else desk.taking_broker,
        tags=settings.tags,
        policies=settings.policies,
        base_url=settings.base_url,
        letters=letters,
        quarantine=quarantine,
        carriage=carriage,
    )


def keeping_of(store: Store, ledger: Ledger, clock: Clock) -> Part:
    """What the bridge that leads writes down of the fleet."""
    return Keeping(store, clock, ledger.presence).run


def stopping_of(cluster: Cluster, pages: Pages) -> Callable[[], None]:
    """Ends what waits for news, so that the server can end."""
    return partial(_stop, cluster, pages)


def _stop(cluster: Cluster, pages: Pages) -> None:
    cluster.jobs.close()
    pages.close()
