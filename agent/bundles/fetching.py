"""One life of the link: asks for what is wanted, part by part, and never for more than the line takes."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog

from agent.bundles.arriving import Arriving
from agent.bundles.goals import ASK_AGAIN_S, AskManifest, Fetch, next_goal
from agent.bundles.supplies import Supplies
from agent.link.link import Link
from agent.wire.bundles import family_of
from agent.wire.messages import Want

log = structlog.get_logger()

PING: Final = "ping"  # what is wanted goes the way of the pings: what is lost there is asked for again
PART_S: Final = 45.0  # without a byte for so long, what was asked for is asked for again
SETTLE_S: Final = 0.3  # what the last life of the link had asked for comes first in the next
WISHES_EVERY_S: Final = 600.0  # what the scripts of our tags need is asked for so often


class Fetching:
    def __init__(
        self, supplies: Supplies, link: Link, platform: Mapping[str, str], *, prefetch: bool
    ) -> None:
        """`platform`: of this site, by family."""
        self._supplies = supplies
        self._link = link
        self._clock = supplies.clock
        self._platform = platform
        self._prefetch = prefetch

    async def run(self) -> None:
        """Raises `LinkDown`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fetch_all(), name="bundles")
            if self._prefetch:
                group.create_task(self._wish(), name="bundles wished for")

    async def _wish(self) -> None:
        while True:
            await self._link.publish(PING, [Want()])
            await asyncio.sleep(WISHES_EVERY_S)

    async def _fetch_all(self) -> None:
        supplies = self._supplies
        if supplies.arriving is not None and supplies.arriving.asked:
            await self._news(SETTLE_S)
            supplies.arriving.ask_again()
        while True:
            version = supplies.changes.version
            if supplies.untold:
                await self._tell_complete(supplies.untold[0])
                continue
            goal = next_goal(supplies.wanted(), supplies.known, self._clock.monotonic_s())
            match goal:
                case AskManifest():
                    await self._ask_manifest(goal.bundle)
                case Fetch():
                    if await supplies.make_room(goal.bundle, goal.artefact):
                        await self._fetch(goal)
                case _:
                    left_s = None
                    if goal.until_s is not None:
                        left_s = max(0.0, goal.until_s - self._clock.monotonic_s())
                    await self._news(left_s, version)

    async def _ask_manifest(self, bundle: str) -> None:
        """Its answer comes by itself; meanwhile others are fetched."""
        family = family_of(bundle)
        if not self._platform.get(family):
            self._supplies.refuse(bundle, f"this site has no {family} that it is made for")
            return
        self._supplies.asked(bundle, ASK_AGAIN_S)  # before the answer can come
        await self._link.publish(PING, [self._want(bundle)])

    async def _tell_complete(self, bundle: str) -> None:
        """For who looks at its jobs: from now on they wait for a slot."""
        have, of = self._supplies.about(bundle)
        if of:
            platform = self._platform[family_of(bundle)]
            await self._link.publish(PING, [Want(bundle=bundle, platform=platform, have=have, of=of)])
        self._supplies.untold.remove(bundle)

    async def _fetch(self, goal: Fetch) -> None:
        """One artefact, to its end; what is more urgent by then comes after it."""
        one = await self._supplies.start_on(goal.artefact)
        one.is_gone = False
        while not one.is_whole and not one.is_gone:
            version, before = self._supplies.changes.version, one.offset
            parts = list(one.to_ask(self._clock.monotonic_s()))
            if parts:
                wants = [self._want(goal.bundle, one, start, size) for start, size in parts]
                await self._link.publish(PING, wants)
            if not await self._news(PART_S, version) and one.offset == before:
                log.info("artefact.silent", name=one.artefact.name, offset=one.offset)
                one.ask_again()
        if one.is_gone:
            self._supplies.lost(goal.bundle)
        else:
            await self._supplies.arrived(one)

    def _want(self, bundle: str, one: Arriving | None = None, start: int = 0, size: int = 0) -> Want:
        have, of = self._supplies.about(bundle)
        return Want(
            bundle=bundle,
            platform=self._platform[family_of(bundle)],
            sha256="" if one is None else one.artefact.sha256,
            start=start,
            size=size,
            have=have,
            of=of,
        )

    async def _news(self, most_s: float | None, since: int | None = None) -> bool:
        """False: there was none for so long."""
        changes = self._supplies.changes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                await changes.newer_than(changes.version if since is None else since)
                return True
        return False
