"""What jobs import: fetched over the agent's own link, ahead of need where that is wished, and kept.

A job whose bundle is not complete waits in custody, and others run. Fetching needs the link, building none.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from agent.bundles.arriving import Arriving
from agent.bundles.goals import Known, next_build
from agent.bundles.pace import PartPace
from agent.bundles.shelf import Shelf
from agent.changes import Changes
from agent.clock import Clock
from agent.jobs.supplied import Supplied
from agent.trust import Keyring
from agent.wire.bundles import Artefact, Manifest, family_of, is_bundle, read_manifest, stated
from agent.wire.errors import Malformed
from agent.wire.messages import Bundle, Needed, Part

log = structlog.get_logger()

WISHED_MAX: Final = 1000
DISK_RETRY_S: Final = 30.0  # nobody tells us when a disk gets well, or free
ASK_AGAIN_MAX_S: Final = 600.0
HURT_MAX: Final = 3  # times that a bundle's bytes are fetched anew before its jobs are told
GROWS: Final = 4  # times that an artefact is thought to grow when it is unpacked, its file included
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """How much disk bundles may have: their own bound, and what results leave of the rest (I6)."""

    most_bytes: int
    free: Callable[[], int]  # bytes that nobody has been promised


class Supplies:
    """Lives as long as the agent. What the shelf has wins over what is known here."""

    def __init__(self, shelf: Shelf, clock: Clock, room: Room, platform: Callable[[str], str]) -> None:
        """`platform`: of this site, by the family of a bundle; empty: it can run none of that family."""
        self._shelf = shelf
        self.clock = clock
        self._room = room
        self._platform = platform
        self._disk = asyncio.Lock()  # the shelf has one caller at a time
        self._wished: list[str] = []
        self._needed: Callable[[], Mapping[str, int]] = dict
        self._settled: Callable[[str], None] = lambda _bundle: None
        self.known: dict[str, Known] = {}
        self.arriving: Arriving | None = None
        self.why_none = ""  # why nothing is fetched at all
        self.untold: list[str] = []  # complete, and the bridge has not heard of it
        self.changes = Changes()  # one for whatever may make something possible

    def serve(self, needed: Callable[[], Mapping[str, int]], settled: Callable[[str], None]) -> None:
        """`needed`: the bundles of jobs in custody, and how many jobs need each.

        `settled` hears of one that is complete, or will never be.
        """
        self._needed, self._settled = needed, settled

    def need_changed(self, bundle: str) -> None:
        """A first job needs it, or none does any more: the next finds out for itself why it cannot be had."""
        one = self.known.get(bundle)
        if one is not None and bundle not in self._needed():
            if one.manifest is None:
                del self.known[bundle]
            elif one.unmet:
                self.known[bundle] = self._standing(one.manifest)
        self.changes.note()

    @property
    def used_bytes(self) -> int:
        return self._shelf.used_bytes

    async def load(self) -> None:
        """What is here from earlier lives. On a disk that refuses, nothing is."""
        try:
            found = await asyncio.to_thread(self._shelf.load)
        except OSError as error:
            log.error("bundles.unreadable", reason=str(error))
            return
        for manifest in found:
            if manifest.platform == self._platform(family_of(manifest.bundle)):
                self.known[manifest.bundle] = self._standing(manifest)
            else:
                log.info("bundle.of_another_platform", bundle=manifest.bundle, platform=manifest.platform)
                await self._drop(manifest)

    def is_settled(self, bundle: str) -> bool:
        """Whether a job that names it may start: it is complete, or never will be, and the job says so."""
        one = self.known.get(bundle)
        return one is not None and one.is_settled

    async def of(self, bundle: str) -> Supplied:
        """For a job that starts now."""
        one = self.known.get(bundle)
        if not bundle or one is None:
            return Supplied()
        if one.manifest is None or not one.is_built:
            return Supplied(unmet=one.unmet)
        self.known[bundle] = self.known.pop(bundle)  # the last that may go
        return Supplied(str(await asyncio.to_thread(self._shelf.folder_of, one.manifest)))

    def wanted(self) -> list[str]:
        """Those of jobs in custody, the oldest first; then those that are wished for."""
        return list(dict.fromkeys((*self._needed(), *self._wished)))

    def about(self, bundle: str) -> tuple[int, int]:
        """Bytes that are here, and of how many; 0 of 0: that is not known yet."""
        one = self.known.get(bundle)
        if one is None or one.manifest is None:
            return 0, 0
        left = sum(artefact.size for artefact in one.missing)
        if self.arriving is not None and self.arriving.artefact in one.missing:
            left -= self.arriving.offset
        return one.manifest.size - left, one.manifest.size

    def waits(self) -> tuple[int, int, int, str]:
        """Jobs that wait for what they import; its bytes that are here, and of how many; what holds it up."""
        waiting = {bundle: jobs for bundle, jobs in self._needed().items() if not self.is_settled(bundle)}
        sizes = [self.about(bundle) for bundle in waiting]
        reasons = [one.why for bundle in waiting if (one := self.known.get(bundle)) and one.why]
        have, of = sum(have for have, _ in sizes), sum(of for _, of in sizes)
        return sum(waiting.values()), have, of, "".join(reasons[:1]) or self.why_none

    async def heed(self, message: Bundle | Part | Needed, keys: Keyring) -> None:
        """What the bridge said. `keys`: those that a manifest must be signed with (I4)."""
        match message:
            case Bundle():
                await self._heed_manifest(message, keys)
            case Part():
                await self._heed_part(message)
            case Needed():
                self._wished = [one for one in message.bundles if is_bundle(one)][:WISHED_MAX]
        self.changes.note()

    async def start_on(self, artefact: Artefact) -> Arriving:
        """The one that is fetched now."""
        if self.arriving is None or self.arriving.artefact.sha256 != artefact.sha256:
            pace = PartPace() if self.arriving is None else self.arriving.pace
            async with self._disk:
                have = await asyncio.to_thread(self._shelf.have, artefact)
            self.arriving = Arriving(artefact, have, pace)
        return self.arriving

    async def make_room(self, bundle: str, artefact: Artefact) -> bool:
        """For this artefact; what was used longest ago goes (I6). False: it has to wait, and says why."""
        size = artefact.size * GROWS
        kept = self._kept_before(bundle)
        while not self._fits(size) and (old := self._oldest_but(kept)) is not None:
            log.info("bundle.dropped", bundle=old.bundle)
            await self._drop(old)
        if self._fits(size):
            return True
        most = _mb(self._room.most_bytes)
        if self.used_bytes + size > self._room.most_bytes and not kept - {bundle}:
            self._never(bundle, f"with {artefact.name} it has more than the {most} MB of BUNDLES_MB here")
        else:
            self._later(
                self.known.setdefault(bundle, Known()),
                DISK_RETRY_S,
                "there is no room on the site's disk for it",
            )
        return False

    def _kept_before(self, bundle: str) -> set[str]:
        """What is not dropped for it: what is more urgent, and what jobs in custody may begin to use."""
        wanted = self.wanted()
        ready = {one for one in self._needed() if self.is_settled(one)}
        return ready | {one for one in wanted[: wanted.index(bundle) + 1] if one in self.known}

    async def arrived(self, arriving: Arriving) -> None:
        """All bytes of it are here: they are checked, and count for every bundle that names them."""
        artefact = arriving.artefact
        self.arriving = None
        is_right = await self._on_disk(lambda: self._shelf.check(artefact))
        for bundle, one in self.known.items():
            if artefact not in one.missing:
                continue
            if is_right:
                one.missing = tuple(other for other in one.missing if other.sha256 != artefact.sha256)
                continue
            one.hurt += 1
            if one.hurt >= HURT_MAX:
                self._never(
                    bundle, f"{artefact.name} came {HURT_MAX} times and was another file than was signed"
                )
        self.changes.note()

    def asked(self, bundle: str, again_s: float) -> None:
        """The bridge was asked for its manifest; without an answer it is asked again in so many seconds."""
        one = self.known.setdefault(bundle, Known())
        one.not_before_s = self.clock.monotonic_s() + again_s

    def refuse(self, bundle: str, why: str) -> None:
        """It can never be had here."""
        self._never(bundle, why)

    def lost(self, bundle: str) -> None:
        """The bridge has an artefact of it no more: what it consists of is asked for anew."""
        self.arriving = None
        if (one := self.known.get(bundle)) is not None:
            one.manifest, one.missing = None, ()
            self._later(one, DISK_RETRY_S, "the bridge fetches it anew")

    async def build_all(self) -> None:
        """For ever: what has come is built, whether or not there is a link."""
        while True:
            version = self.changes.version
            bundle = next_build(self.wanted(), self.known, self.clock.monotonic_s())
            if bundle is not None:
                await self._build(bundle, self.known[bundle])
                continue
            try:
                async with asyncio.timeout(DISK_RETRY_S):
                    await self.changes.newer_than(version)
            except TimeoutError:
                await self._give_back()

    async def _give_back(self) -> None:
        """Results need the disk: whatever no job in custody needs makes room for them (I6)."""
        needed = self._needed()
        while self._room.free() < 0 and (old := self._oldest_but(needed)) is not None:
            log.info("bundle.dropped", bundle=old.bundle)
            await self._drop(old)

    async def _build(self, bundle: str, one: Known) -> None:
        assert one.manifest is not None  # noqa: S101 `next_build` chooses none without
        manifest = one.manifest
        try:
            async with self._disk:
                await asyncio.to_thread(self._shelf.build, manifest)
        except OSError as error:
            log.warning("bundle.not_built", bundle=bundle, reason=str(error))
            self._later(one, DISK_RETRY_S, f"the site's disk refuses it: {error.strerror}")
            one.missing = self._standing(manifest).missing
            return
        except Malformed as error:
            self._never(bundle, str(error))
            return
        one.is_built, one.why = True, ""
        self.untold.append(bundle)
        self.changes.note()
        log.info("bundle.built", bundle=bundle, artefacts=len(manifest.artefacts), bytes=manifest.size)
        self._settled(bundle)

    async def _heed_manifest(self, said: Bundle, keys: Keyring) -> None:
        one = self.known.setdefault(said.bundle, Known()) if is_bundle(said.bundle) else None
        if one is None or one.manifest is not None or said.platform != self._platform(family_of(said.bundle)):
            return
        if said.error:
            if said.again_s > 0:
                self._later(one, min(ASK_AGAIN_MAX_S, said.again_s), said.error)
            else:
                self._never(said.bundle, said.error)
            return
        try:
            manifest = _signed(said, keys)
        except Malformed as error:
            log.warning("manifest.refused", bundle=said.bundle, reason=str(error))
            self._later(one, DISK_RETRY_S, f"what it consists of is not believed: {error}")
            return
        if await self._on_disk(lambda: self._shelf.keep(manifest)):
            self.known[said.bundle] = self._standing(manifest)

    async def _heed_part(self, part: Part) -> None:
        one = self.arriving
        if one is None or one.artefact.sha256 != part.sha256:
            return
        one.take(part.start, part.part, self.clock.monotonic_s())
        async with self._disk:
            while (data := one.next_part()) is not None:
                try:
                    written = await asyncio.to_thread(self._shelf.add, one.artefact, one.offset, data)
                except OSError as error:
                    log.warning("artefact.not_written", name=one.artefact.name, reason=str(error))
                    one.came.clear()
                    return
                one.written(written)

    async def _on_disk(self, do: Callable[[], bool | None]) -> bool:
        """False when that says so, and when the disk refuses."""
        async with self._disk:
            try:
                return await asyncio.to_thread(do) is not False
            except OSError as error:
                log.warning("bundles.disk_refuses", reason=str(error))
                return False

    def _standing(self, manifest: Manifest) -> Known:
        if self._shelf.is_built(manifest):
            return Known(manifest, is_built=True)
        missing = {one.sha256: one for one in manifest.artefacts if not self._shelf.is_here(one)}
        return Known(manifest, tuple(missing.values()))

    def _later(self, one: Known, seconds: float, why: str) -> None:
        one.why, one.not_before_s = why, self.clock.monotonic_s() + seconds
        self.changes.note()

    def _never(self, bundle: str, why: str) -> None:
        """Its jobs end with this. Who comes after them asks once more."""
        one = self.known.setdefault(bundle, Known())  # or it was dropped in this moment
        one.unmet, one.why = why, ""
        log.warning("bundle.unmet", bundle=bundle, reason=why)
        self._settled(bundle)

    def _fits(self, size: int) -> bool:
        return self.used_bytes + size <= self._room.most_bytes and size <= self._room.free()

    def _oldest_but(self, kept: Collection[str]) -> Manifest | None:
        for bundle, one in self.known.items():  # in the order of their use
            if one.manifest is not None and bundle not in kept:
                return one.manifest
        return None

    async def _drop(self, manifest: Manifest) -> None:
        self.known.pop(manifest.bundle, None)
        others = [one.manifest for one in self.known.values() if one.manifest is not None]
        await self._on_disk(lambda: self._shelf.drop(manifest, others))


def _signed(said: Bundle, keys: Keyring) -> Manifest:
    """Raises `Malformed`."""
    if not keys.verify(said.kid, said.sig, stated(said.manifest)):
        raise Malformed("the bridge has not signed it")
    manifest = read_manifest(said.manifest)
    if (manifest.bundle, manifest.platform) != (said.bundle, said.platform):
        raise Malformed("it is of another bundle, or platform")
    return manifest


def _mb(size: int) -> float:
    return round(size / MIB, 1)
