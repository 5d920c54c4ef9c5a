"""A bridge that answers what an agent wants of bundles, in memory, and the agent's own supplies beside it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from agent.bundles.fetching import Fetching
from agent.bundles.shelf import Shelf
from agent.bundles.supplies import Room, Supplies
from agent.clock import Clock, SystemClock
from agent.errors import LinkDown
from agent.trust import Keyring, SigningKey
from agent.wire.bundles import Artefact, Manifest, bundle_of, stated
from agent.wire.messages import Bundle, Message, Needed, Part, Want
from tests.support.until import until
from tests.support.wheels import artefact

PLATFORM = "cp311-glibc_2_36-x86_64"
MIB = 1024 * 1024


class Bridge:
    """Stands at the other end of a link; implements as much of `link.Link` as fetching uses."""

    def __init__(self) -> None:
        self.key = SigningKey.made()
        self.keys = Keyring({self.key.kid: self.key.public})
        self.manifests: dict[str, Manifest] = {}
        self.files: dict[str, bytes] = {}
        self.errors: dict[str, tuple[str, float]] = {}  # by bundle: why there is none, and when to ask again
        self.needed: list[str] = []
        self.sent_bytes = 0
        self.wants: list[Want] = []
        self.parts_left: int | None = None  # of the link's life; None: it lasts
        self.silent = False
        self.complete: list[str] = []  # of which it was told so
        self.supplies: Supplies

    def add(self, *wheels: Path, pins: str = "") -> str:
        """A bundle of these; its name."""
        lock = pins or "\n".join(f"{path.name.split('-')[0]}=={path.name.split('-')[1]}" for path in wheels)
        bundle = bundle_of("python3", lock)
        artefacts = tuple(artefact(path) for path in wheels)
        self.manifests[bundle] = Manifest(bundle, PLATFORM, artefacts)
        self.files |= {one.sha256: path.read_bytes() for one, path in zip(artefacts, wheels, strict=True)}
        return bundle

    def artefacts(self, bundle: str) -> Sequence[Artefact]:
        return self.manifests[bundle].artefacts

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        assert kind == "ping"
        for want in messages:
            assert isinstance(want, Want)
            if want.have == want.of > 0 and not want.sha256:
                self.complete.append(want.bundle)
                continue
            self.wants.append(want)
            if not self.silent:
                await self.supplies.heed(self._answer(want), self.keys)
        await asyncio.sleep(0)

    def _answer(self, want: Want) -> Bundle | Part | Needed:
        if want.sha256:
            if self.parts_left is not None:
                self.parts_left -= 1
                if self.parts_left < 0:
                    raise LinkDown("cut")
            part = self.files.get(want.sha256, b"")[want.start : want.start + want.size]
            self.sent_bytes += len(part)
            return Part(sha256=want.sha256, start=want.start, part=part)
        if not want.bundle:
            return Needed(bundles=self.needed)
        if want.bundle in self.errors:
            error, again_s = self.errors[want.bundle]
            return Bundle(bundle=want.bundle, platform=want.platform, error=error, again_s=again_s)
        packed = self.manifests[want.bundle].packed()
        kid, signature = self.key.sign(stated(packed))
        return Bundle(bundle=want.bundle, platform=want.platform, manifest=packed, kid=kid, sig=signature)


class Site:
    """One life of an agent, as far as bundles go."""

    def __init__(
        self, folder: Path, bridge: Bridge, *, most_bytes: int = 100 * MIB, clock: Clock | None = None
    ) -> None:
        self.needs: dict[str, int] = {}
        self.settled: list[str] = []
        self.free_bytes = 1024 * MIB
        self.clock = clock or SystemClock()
        room = Room(most_bytes, lambda: self.free_bytes)
        self.supplies = Supplies(Shelf(folder, None), self.clock, room, lambda _family: PLATFORM)
        self.supplies.serve(lambda: self.needs, self.settled.append)
        self.bridge = bridge
        bridge.supplies = self.supplies

    @asynccontextmanager
    async def living(self) -> AsyncIterator["Site"]:
        """Without a link: what has come is built."""
        await self.supplies.load()
        building = asyncio.ensure_future(self.supplies.build_all())
        try:
            yield self
        finally:
            building.cancel()
            with suppress(asyncio.CancelledError):
                await building

    async def need(self, *bundles: str) -> None:
        """Fetch until each is settled. Raises `LinkDown` as the link does."""
        self.needs |= dict.fromkeys(bundles, 1)
        async with self.linked():
            await until(lambda: all(map(self.supplies.is_settled, self.needs)))

    def over(self) -> None:
        """No job needs anything any more."""
        before, self.needs = self.needs, {}
        self.supplies.serve(lambda: self.needs, self.settled.append)
        for bundle in before:
            self.supplies.need_changed(bundle)

    @asynccontextmanager
    async def linked(self, *, prefetch: bool = False) -> AsyncIterator[None]:
        platforms = {"python3": PLATFORM, "node": ""}
        fetching = Fetching(self.supplies, self.bridge, platforms, prefetch=prefetch)
        try:
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                task = group.create_task(fetching.run())
                yield
                task.cancel()
        except* LinkDown as errors:
            error: BaseException = errors
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
