"""What sends agents what their jobs import: bundles, the cache that keeps them, and who is let have them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from starlette.routing import BaseRoute

from agent.clock import Clock
from agent.wire.bundles import NODE, PYTHON
from bridge.bundles.cache import Cache
from bridge.bundles.commands import environment_of
from bridge.bundles.routes import BundleRoutes
from bridge.bundles.service import Bundles
from bridge.bundles.supply import Supply
from bridge.bundles.tarballs import fetch_tarballs
from bridge.bundles.wheels import fetch_wheels
from bridge.config import Settings
from bridge.dependencies.locks import hashes_of
from bridge.dependencies.settling import LOCKED
from bridge.jobs.model import Pulled
from bridge.relay.signer import Signer
from bridge.store.leading import Part
from bridge.store.store import Store
from bridge.web.cluster import Cluster

FOLDER: Final = ".bundles"  # ends the name of the folder beside the store


@dataclass(frozen=True, slots=True)
class Supplying:
    supply: Supply | None = None
    routes: Sequence[BaseRoute] = ()
    parts: dict[str, Part] = field(default_factory=dict)


def supplying_of(
    settings: Settings, store: Store, clock: Clock, signer: Signer, cluster: Cluster
) -> Supplying:
    """From now on jobs name their bundles, unless the operator wants none."""
    if not settings.bundles_bytes:
        return Supplying()
    cache = Cache(_folder(settings, store), settings.bundles_bytes)
    env = environment_of(os.environ)
    fetch = {PYTHON: partial(fetch_wheels, env=env), NODE: partial(fetch_tarballs, env=env)}
    bundles = Bundles(store, clock, cache, signer.sign, fetch, hashes_of)
    cluster.bulletin.on(LOCKED, lambda _: bundles.locked(), bundles.locked)

    async def with_bundle(pulled: Pulled) -> Pulled:
        return replace(pulled, bundle=await bundles.note(pulled.language, pulled.lock, pulled.tag))

    cluster.jobs.with_bundle = with_bundle
    return Supplying(
        Supply(bundles, clock),
        BundleRoutes(bundles, cluster.scripts, cluster.gate).all(),
        {"bundles": bundles.run},
    )


def _folder(settings: Settings, store: Store) -> Path:
    beside = settings.store if isinstance(settings.store, Path) else store.key_path
    return beside.with_name(f"{beside.stem}{FOLDER}")
