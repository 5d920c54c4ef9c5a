"""What jobs import, wired into an agent: who waits for it, what fetches it, and what builds it."""

import asyncio
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from agent.bundles import platform
from agent.bundles.fetching import Fetching
from agent.bundles.shelf import Shelf
from agent.bundles.supplies import Room, Supplies
from agent.bundles.telling import tell_waits
from agent.clock import Clock
from agent.config import Settings
from agent.jobs.book import Book
from agent.jobs.control import HeedSupply, ignore
from agent.jobs.supplied import Supplied, nothing
from agent.link.link import Enrolment, Link
from agent.spool.spool import Spool
from agent.trust import Keyring
from agent.wire.bundles import FAMILIES, platform_of

SENDS_NONE: Final = "the bridge sends none now: it is of an older release, or its BUNDLES_MB is 0"


class Supplying:
    """Of an agent that fetches bundles; with no supplies it does nothing, and nobody waits."""

    def __init__(
        self,
        supplies: Supplies | None = None,
        platform: Mapping[str, str] = MappingProxyType({}),
        *,
        prefetch: bool = False,
    ) -> None:
        """`platform`: what this site says of its interpreters."""
        self.platform = dict(platform)
        self._supplies = supplies
        self._families = {family: platform_of(family, platform) for family in FAMILIES.values()}
        self._prefetch = prefetch

    async def begin(self, book: Book, spool: Spool) -> None:
        """From now on a job that names a bundle waits for it. Before what waits is read."""
        supplies, unfinished = self._supplies, book.unfinished
        if supplies is None:
            return

        def settled(bundle: str) -> None:
            unfinished.supplied(bundle)
            book.changes.note()

        await supplies.load()
        supplies.serve(unfinished.bundles, settled)
        unfinished.wait_for_bundles(supplies.is_settled, supplies.need_changed)
        spool.bundle_bytes = lambda: supplies.used_bytes

    async def of(self, bundle: str) -> Supplied:
        return await (nothing(bundle) if self._supplies is None else self._supplies.of(bundle))

    async def run(self, spool: Spool) -> None:
        """For ever, with and without a link."""
        if self._supplies is not None:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._supplies.build_all(), name="bundles built")
                group.create_task(tell_waits(self._supplies, spool), name="bundles told")

    async def fetch(self, link: Link, enrolment: Enrolment) -> None:
        """One life of the link. Raises `LinkDown`."""
        if self._supplies is None:
            return
        self._supplies.why_none = "" if enrolment.bundles else SENDS_NONE
        if enrolment.bundles:
            await Fetching(self._supplies, link, self._families, prefetch=self._prefetch).run()

    def heed(self, keys: Keyring) -> HeedSupply:
        """`keys`: those that a manifest must be signed with (I4)."""
        return ignore if self._supplies is None else partial(self._supplies.heed, keys=keys)


async def supplying_of(settings: Settings, spool: Spool, clock: Clock, python: str | None) -> Supplying:
    """`python`: of the jobs."""
    facts = await platform.facts(python)
    quota = settings.bounds.quota_bytes
    most_bytes = settings.bundles_bytes if quota is None else min(settings.bundles_bytes, quota // 2)
    supplies = Supplies(
        Shelf(spool.folder.bundles, python),
        clock,
        Room(most_bytes, spool.room.spare_bytes),
        lambda family: platform_of(family, facts),
    )
    return Supplying(supplies, facts, prefetch=settings.prefetch)
