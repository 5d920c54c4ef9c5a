"""Bundles: which jobs need which, what each consists of for a platform, and who may have it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from agent.clock import Clock
from agent.database import ReadFailed, WriteFailed
from agent.wire.bundles import (
    Artefact,
    Manifest,
    bundle_of,
    family_of,
    is_bundle,
    is_platform,
    platform_of,
    read_manifest,
    stated,
)
from agent.wire.claims import WorkerName
from agent.wire.errors import Malformed
from agent.wire.messages import Bundle, Want
from bridge.bundles.cache import Cache
from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Fetch, Fetched, Locked
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

log = structlog.get_logger()

SQL: Final = queries(Path(__file__).with_name("bundles.sql"))

MAKERS: Final = 2  # bundles made at once
ORDERED_MAX: Final = 1000  # that wait for it
KNOWN_MAX: Final = 500  # manifests in memory
NOTED_MAX: Final = 10_000
NOTED_S: Final = 86_400.0  # how often it is written down that a lock is in use
KEPT_S: Final = 90 * 86_400.0  # after its last use
REFUSED_S: Final = 600.0  # what could not be had is tried again, when asked for, after so long
DOWN_S: Final = 20.0  # an index that did not answer
MAKING_S: Final = 2.0  # who asks over HTTP while it is made comes again after so long
NEEDED_MAX: Final = 1000
PROGRESS_EVERY_S: Final = 5.0  # of one agent's bundle: each is a commit

Sign = Callable[[bytes], tuple[str, bytes]]
HashesOf = Callable[[Connection, str], Mapping[str, Sequence[str]]]  # by pin, of a lock


def no_hashes(_connection: Connection, _lock: str) -> Mapping[str, Sequence[str]]:
    """Of a cluster that writes down none."""
    return {}


@dataclass(frozen=True, slots=True)
class Order:
    bundle: str
    platform: str


class Bundles:
    """What is made is in the store and the cache; what is remembered here only spares asking both."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        cache: Cache,
        sign: Sign,
        fetch: Mapping[str, Fetch],
        hashes_of: HashesOf = no_hashes,
    ) -> None:
        """`fetch`: by the family of a bundle."""
        self._store = store
        self._clock = clock
        self._cache = cache
        self._sign = sign
        self._fetch = fetch
        self._hashes_of = hashes_of
        self._orders: asyncio.Queue[Order] = asyncio.Queue(ORDERED_MAX)
        self._ordered: set[Order] = set()
        self._has_locked = asyncio.Event()
        self._down: dict[Order, tuple[float, str]] = {}  # until when it is not tried again, and why
        self._known: dict[Order, Manifest] = {}
        self._noted: dict[tuple[str, str], float] = {}
        self._progress: dict[tuple[str, str], float] = {}
        self.made: Callable[[Order], Awaitable[None]] | None = (
            None  # hears of each that is made, or cannot be
        )

    async def run(self) -> None:
        """For ever: makes what is ordered."""
        await self._begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._note_scripts(), name="bundles of scripts")
            for number in range(MAKERS):
                group.create_task(self._make_all(), name=f"bundles {number}")

    def locked(self) -> None:
        """A script may have got its lock: what it imports is made before there is a job."""
        self._has_locked.set()

    async def _note_scripts(self) -> None:
        while True:
            await self._has_locked.wait()
            self._has_locked.clear()
            try:
                for row in await self._rows("locked", {"most": NEEDED_MAX}):
                    await self.note(row["language"], row["lock"], row["tag"])
            except (WriteFailed, ReadFailed) as error:
                log.warning("bundles.not_noted", reason=str(error))

    async def _begin(self) -> None:
        """Until the disk lets us: without the folder nothing can be made."""
        while True:
            try:
                await asyncio.to_thread(self._cache.open)
                await self._prune()
            except (OSError, WriteFailed) as error:
                log.error("bundles.no_folder", reason=str(error))
                await asyncio.sleep(DOWN_S)
            else:
                return

    async def note(self, language: str, lock: str | None, tag: str) -> str:
        """Jobs of this tag have this lock: the bundle's name, empty when there is none to carry.

        From now on agents of the tag may have it, and it is made for those that are enrolled.
        """
        bundle = bundle_of(language, lock)
        if bundle and family_of(bundle) in self._fetch:
            now_s = self._clock.monotonic_s()
            noted_s = self._noted.get((bundle, tag))
            if noted_s is None or now_s - noted_s > NOTED_S:
                await self._note(bundle, lock or "", tag)
                self._noted = dict(list(self._noted.items())[-NOTED_MAX:]) | {(bundle, tag): now_s}
                await self._order_for(bundle, tag)
            return bundle
        return ""

    async def may_have(self, bundle: str, tags: Collection[str]) -> bool:
        """Whether jobs of one of these tags need it (I4)."""
        if not is_bundle(bundle):
            return False
        return any(row["tag"] in tags for row in await self._rows("tags", {"bundle": bundle}))

    async def tags_of(self, worker: WorkerName) -> frozenset[str]:
        rows = await self._rows("tags_of", {"worker": worker})
        return frozenset(json.loads(rows[0]["tags"])) if rows else frozenset()

    async def needed(self, tags: Collection[str]) -> list[str]:
        """The bundles of deployed scripts with one of these tags."""
        found: dict[str, None] = {}
        for row in await self._rows("locked", {"most": NEEDED_MAX}):
            if row["tag"] in tags and (bundle := await self.note(row["language"], row["lock"], row["tag"])):
                found[bundle] = None
        return list(found)

    async def said(self, bundle: str, platform: str) -> Bundle:
        """What it consists of, signed; or why not, and when to ask again. What is not made yet is ordered."""
        order = Order(bundle, platform)
        if not is_platform(platform):
            return _no(order, f"nobody knows the platform {platform[:60]!r}")
        rows = await self._rows("bundle", {"bundle": bundle, "platform": platform})
        row = rows[0] if rows else None
        if row is not None and row["manifest"] is not None and await self._has(row["manifest"]):
            packed = bytes(row["manifest"])
            kid, signature = self._sign(stated(packed))
            return Bundle(bundle=bundle, platform=platform, manifest=packed, kid=kid, sig=signature)
        if row is not None and row["error"] and self._clock.wall_s() - row["made_at"] < REFUSED_S:
            return _no(order, str(row["error"]))
        until_s, why = self._down.get(order, (0.0, ""))
        left_s = until_s - self._clock.monotonic_s()
        if left_s > 0:
            return _no(order, why, left_s)
        self.order(order)
        return _no(order, "the bridge fetches it", MAKING_S)

    async def made_for(self, language: str, lock: str | None) -> list[tuple[str, str]]:
        """By platform: why what this lock asks for cannot be had there; empty: it can, and is made."""
        rows = await self._rows("made", {"bundle": bundle_of(language, lock)})
        found = {row["platform"]: row["error"] or "" for row in rows if row["is_made"] or row["error"]}
        found |= {order.platform: why for order, (_, why) in self._down.items()
                  if order.bundle == bundle_of(language, lock)}  # fmt: skip
        return sorted(found.items())

    async def part(self, want: Want, most: int) -> bytes:
        """Of an artefact of the bundle that it names; empty when it is none of it, or not here any more."""
        manifest = await self._manifest(Order(want.bundle, want.platform))
        if manifest is None or want.sha256 not in {one.sha256 for one in manifest.artefacts}:
            return b""
        return await asyncio.to_thread(self._cache.part, want.sha256, want.start, most)

    async def size_of(self, bundle: str, platform: str, sha256: str) -> int | None:
        """Of an artefact of this bundle that is here."""
        manifest = await self._manifest(Order(bundle, platform))
        if manifest is None or sha256 not in {one.sha256 for one in manifest.artefacts}:
            return None
        return await asyncio.to_thread(self._cache.size_of, sha256)

    async def note_progress(self, worker: WorkerName, want: Want, why: str = "") -> None:
        """For whoever looks at a job that waits for it."""
        now_s, about = self._clock.monotonic_s(), (worker, want.bundle)
        is_complete = want.have == want.of > 0
        if not is_complete and now_s - self._progress.get(about, -PROGRESS_EVERY_S) < PROGRESS_EVERY_S:
            return
        self._progress = {
            one: at_s for one, at_s in self._progress.items() if now_s - at_s < PROGRESS_EVERY_S
        }
        self._progress[about] = now_s
        values = {
            "worker": worker, "bundle": want.bundle, "have": want.have, "size": want.of, "why": why,
            "now": self._clock.wall_s(),
        }  # fmt: skip
        await self._store.write(lambda db: db.execute(SQL["progress"], values).rowcount)

    def order(self, order: Order) -> None:
        """Have it made, once. What is too much is asked for again (I6)."""
        if order not in self._ordered and not self._orders.full():
            self._ordered.add(order)
            self._orders.put_nowait(order)

    async def _order_for(self, bundle: str, tag: str) -> None:
        """For every platform that is enrolled with this tag."""
        for row in await self._rows("platforms", {"tag": tag}):
            platform = platform_of(family_of(bundle), json.loads(row["platform"]))
            if platform and not await self._rows("bundle", {"bundle": bundle, "platform": platform}):
                self.order(Order(bundle, platform))

    async def _make_all(self) -> None:
        while True:
            order = await self._orders.get()
            try:
                await self._make(order)
            except WriteFailed as error:
                self._fails(order, str(error))
            finally:
                self._ordered.discard(order)
            if self.made is not None:
                await self.made(order)

    async def _make(self, order: Order) -> None:
        wanted = await self._locked(order.bundle)
        if wanted is None:
            await self._keep(order, None, "its lock is not known here any more")
            return
        try:
            with self._cache.workshop() as folder:
                fetch = self._fetch[family_of(order.bundle)]
                fetched = await fetch(wanted, order.platform, folder)
                manifest = await asyncio.to_thread(self._taken_in, order, fetched)
        except NotToBeHad as error:
            log.warning(
                "bundle.not_to_be_had", bundle=order.bundle, platform=order.platform, reason=str(error)
            )
            await self._keep(order, None, str(error))
        except IndexDown as error:
            self._fails(order, str(error))
        except OSError as error:
            self._fails(order, f"the bridge cannot keep it: {error}")
        else:
            await self._keep(order, manifest.packed(), None)
            log.info("bundle.made", bundle=order.bundle, platform=order.platform, bytes=manifest.size)

    async def _locked(self, bundle: str) -> Locked | None:
        def read(db: Connection) -> Locked | None:
            row = db.execute(SQL["lock"], {"bundle": bundle}).fetchone()
            return None if row is None else Locked(row["lock"], self._hashes_of(db, row["lock"]))

        return await self._store.read(read)

    def _taken_in(self, order: Order, fetched: Fetched) -> Manifest:
        artefacts = []
        for path, kind, place in fetched:
            name = path.name
            sha256, size = self._cache.add(path)
            artefacts.append(Artefact(name, sha256, size, kind, place))
        manifest = Manifest(order.bundle, order.platform, tuple(sorted(artefacts)))
        try:
            read_manifest(manifest.packed())  # what an agent would refuse is not offered
        except Malformed as error:
            raise NotToBeHad(f"it is more than agents take: {error}") from error
        self._cache.shrink(frozenset(one.sha256 for one in artefacts))
        return manifest

    def _fails(self, order: Order, why: str) -> None:
        log.warning("bundle.not_made", bundle=order.bundle, platform=order.platform, reason=why)
        now_s = self._clock.monotonic_s()
        self._down = {one: known for one, known in self._down.items() if known[0] > now_s}
        self._down[order] = (now_s + DOWN_S, why)

    async def _keep(self, order: Order, manifest: bytes | None, error: str | None) -> None:
        self._known.pop(order, None)
        values = _of(order) | {"manifest": manifest, "error": error, "now": self._clock.wall_s()}
        await self._store.write(lambda db: db.execute(SQL["keep"], values).rowcount)

    async def _note(self, bundle: str, lock: str, tag: str) -> None:
        values = {"bundle": bundle, "lock": lock, "tag": tag, "now": self._clock.wall_s()}

        def write(db: Connection) -> None:
            db.execute(SQL["note_lock"], values)
            db.execute(SQL["note_use"], values)

        await self._store.write(write)

    async def _has(self, packed: bytes) -> bool:
        """Whether all of it is in this cache: another bridge may have made it, or the bound took some."""
        artefacts = read_manifest(packed).artefacts
        return await asyncio.to_thread(
            lambda: all(self._cache.has(one.sha256, one.size) for one in artefacts)
        )

    async def _manifest(self, order: Order) -> Manifest | None:
        known = self._known.get(order)
        if known is None:
            rows = await self._rows("bundle", _of(order))
            if not rows or rows[0]["manifest"] is None:
                return None
            known = read_manifest(bytes(rows[0]["manifest"]))
            self._known = dict(list(self._known.items())[-KNOWN_MAX:]) | {order: known}
        return known

    async def _prune(self) -> None:
        before = {"before": self._clock.wall_s() - KEPT_S}

        def write(db: Connection) -> None:
            for name in ("prune_locks", "prune_uses", "prune_bundles", "prune_progress"):
                db.execute(SQL[name], before if name in ("prune_locks", "prune_progress") else {})

        await self._store.write(write)

    async def _rows(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return await self._store.read(lambda db: db.execute(SQL[name], values).fetchall())


def _of(order: Order) -> dict[str, Any]:
    return {"bundle": order.bundle, "platform": order.platform}


def _no(order: Order, why: str, again_s: float = 0.0) -> Bundle:
    return Bundle(bundle=order.bundle, platform=order.platform, error=why, again_s=again_s)
