"""The pages, wired: what `python -m bridge serve` shows to people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from agent.clock import Clock
from bridge.pages.live import Live
from bridge.pages.login import LoginPages
from bridge.pages.rendering import Rendering
from bridge.pages.site import Site
from bridge.pages.workers import WorkerPages
from bridge.web.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Pages:
    routes: Sequence[BaseRoute]
    close: Callable[[], None]  # ends what is live, so that the server can end


def open_pages(cluster: Cluster, clock: Clock) -> Pages:
    rendering = Rendering()
    site = Site(cluster.gate, rendering)
    live = Live(clock, cluster.gate.person)
    return Pages(
        routes=[
            *WorkerPages(site).routes(),
            *LoginPages(site, cluster.tokens, cluster.audit).routes(),
            *rendering.routes(),
        ],
        close=live.close,
    )
