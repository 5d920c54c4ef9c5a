"""What a job imports is made for its site, signed, and read in ranges by agents whose tags need it (I4)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.link.http.api import Api, client_for
from agent.link.http.bundles import brought
from agent.tls.outbound import SYSTEM
from agent.trust import Keyring
from agent.wire.bundles import Kind, Manifest, bundle_of, read_manifest, stated
from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.messages import Bundle, Message, Needed, Part, Want
from agent.wire.proofs import read_signature
from bridge.bundles.cache import Cache
from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Fetched, Locked
from bridge.bundles.routes import BundleRoutes
from bridge.bundles.service import REFUSED_S, Bundles
from bridge.bundles.supply import Supply
from bridge.jobs.model import Pulled
from bridge.relay.ledger import Ledger
from bridge.web.asgi import build
from tests.support.cluster import Running, client_of, served
from tests.support.until import until

ALL = "/api/agent_workers"
PLATFORM = "cp311-glibc_2_36-x86_64"
FACTS = {"python": "3.11.7", "implementation": "cpython", "libc": "glibc 2.36", "machine": "x86_64"}
LOCK = "# py: 3.11\nalpha==1.0\nbeta==2.0"
BUNDLE = bundle_of("python3", LOCK)
LARGE = bytes(range(256)) * 1200
DEPLOYED = {"path": "f/shop/rollup", "content": "def main(): pass", "language": "python3", "lock": LOCK}


@dataclass
class Index:
    """What a lock asks for, as files; or why not."""

    files: dict[str, bytes] = field(default_factory=lambda: {"alpha.whl": LARGE, "beta.whl": b"b"})
    error: Exception | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def fetch(self, wanted: Locked, platform: str, into: Path) -> Fetched:
        self.asked.append((wanted.lock, platform))
        if self.error is not None:
            raise self.error
        for name, content in self.files.items():
            (into / name).write_bytes(content)
        return [(into / name, Kind.WHEEL, "") for name in self.files]


@dataclass
class Bundled:
    cluster: Running
    bundles: Bundles
    index: Index
    cache: Path
    app: Any

    async def agent(self, *tags: str, suffix: str = "till-a1b2c") -> httpx.AsyncClient:
        known = await self.cluster.agent(*tags, suffix=suffix)
        return client_of(self.app, known.headers["authorization"].removeprefix("Bearer "))

    async def pulled(self, agent: httpx.AsyncClient, tag: str = "pos") -> dict[str, Any]:
        """A job with a lock, handed out to the agent."""
        code = {"code": DEPLOYED["content"], "language": "python3", "lock": LOCK, "tag": tag}
        await self.cluster.preview(**code)
        found: dict[str, Any] = (await agent.post(f"{ALL}/pull_job")).json()
        return found

    async def said(self, agent: httpx.AsyncClient) -> dict[str, Any]:
        answer = await agent.get(f"{ALL}/bundle/{BUNDLE}", params={"platform": PLATFORM, "have": 1, "of": 2})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def made(self, agent: httpx.AsyncClient) -> Manifest:
        async def look() -> str:
            return str((await self.said(agent))["manifest"])

        return read_manifest((await until(look)).encode())


@pytest.fixture
async def bundled(cluster: Running, tmp_path: Path) -> AsyncIterator[Bundled]:
    index, cache = Index(), tmp_path / "cache"
    store, clock, sign = cluster.store, cluster.clock, cluster.signer.sign
    bundles = Bundles(store, clock, Cache(cache, 10**6), sign, {"python3": index.fetch})

    async def with_bundle(pulled: Pulled) -> Pulled:
        return replace(pulled, bundle=await bundles.note(pulled.language, pulled.lock, pulled.tag))

    cluster.cluster.jobs.with_bundle = with_bundle
    app = build(
        [*cluster.cluster.routes, *BundleRoutes(bundles, cluster.cluster.scripts, cluster.cluster.gate).all()]
    )
    running = asyncio.ensure_future(bundles.run())
    try:
        yield Bundled(cluster, bundles, index, cache, app)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.mark.on_both_stores
async def test_a_bundle_is_named_by_its_job_made_signed_and_read_in_ranges(bundled: Bundled) -> None:
    agent = await bundled.agent("pos")
    assert (await bundled.pulled(agent))["bundle"] == BUNDLE
    manifest = await bundled.made(agent)
    assert (manifest.bundle, manifest.platform) == (BUNDLE, PLATFORM)
    said = await bundled.said(agent)
    ring = Keyring(bundled.cluster.signer.public_keys())
    assert ring.verify(*read_signature(said["signature"]), stated(said["manifest"].encode()))
    place = {"bundle": BUNDLE, "platform": PLATFORM}
    for one in manifest.artefacts:
        content = b""
        while len(content) < one.size:
            ranged = {"Range": f"bytes={len(content)}-{len(content) + 9_999}"}
            part = await agent.get(f"{ALL}/artefact/{one.sha256}", params=place, headers=ranged)
            assert part.status_code == 206
            assert part.headers["content-range"].startswith(f"bytes {len(content)}-")
            assert part.headers["content-range"].endswith(f"/{one.size}")
            content += part.content
        assert hashlib.sha256(content).hexdigest() == one.sha256
    assert bundled.index.asked == [(LOCK, PLATFORM)]


async def test_an_agent_of_another_tag_reads_nothing_of_it(bundled: Bundled) -> None:
    agent, other = await bundled.agent("pos"), await bundled.agent("lab", suffix="other-q1w2e")
    await bundled.pulled(agent)
    sha256 = (await bundled.made(agent)).artefacts[0].sha256
    place = {"bundle": BUNDLE, "platform": PLATFORM}
    for path in (f"bundle/{BUNDLE}", f"artefact/{sha256}"):
        assert (await other.get(f"{ALL}/{path}", params=place)).status_code == 404
        assert (await bundled.cluster.client("nobody").get(f"{ALL}/{path}", params=place)).status_code in (
            401,
            404,
        )
    assert (await other.get(f"{ALL}/bundles")).json() == []
    theirs = bundle_of("python3", "gamma==1")
    await bundled.bundles.note("python3", "gamma==1", "lab")
    stolen = await other.get(f"{ALL}/artefact/{sha256}", params=place | {"bundle": theirs})
    assert stolen.status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "size"),
    [(None, 206, 128 * 1024), ("bytes=0-", 206, 128 * 1024), ("bytes=0-0", 206, 1),
     ("bytes=307199-400000", 206, 1), ("bytes=307200-", 416, 0), ("bytes=-5", 400, None),
     ("bytes=0-1,4-5", 400, None), ("lines=1-2", 400, None)],
)  # fmt: skip
async def test_a_range_is_bounded(
    bundled: Bundled, wanted: str | None, status: int, size: int | None
) -> None:
    agent = await bundled.agent("pos")
    await bundled.pulled(agent)
    one = max((await bundled.made(agent)).artefacts, key=lambda artefact: artefact.size)
    headers = {} if wanted is None else {"Range": wanted}
    place = {"bundle": BUNDLE, "platform": PLATFORM}
    answer = await agent.get(f"{ALL}/artefact/{one.sha256}", params=place, headers=headers)
    assert answer.status_code == status
    assert size is None or len(answer.content) == size


async def test_what_cannot_be_had_is_told_and_tried_again_in_time(bundled: Bundled) -> None:
    agent = await bundled.agent("pos")
    bundled.index.error = NotToBeHad("there is no wheel of alpha")
    await bundled.pulled(agent)
    await bundled.said(agent)
    await until(lambda: bundled.index.asked)

    async def last_word() -> bool:
        said = await bundled.said(agent)
        return bool(said["error"] == "there is no wheel of alpha" and said["again_s"] == 0)

    await until(last_word)
    bundled.index.error = None
    assert await last_word()
    bundled.cluster.clock.ahead_s = REFUSED_S + 1
    assert (await bundled.made(agent)).artefacts


async def test_an_index_that_is_away_is_waited_for(bundled: Bundled) -> None:
    agent = await bundled.agent("pos")
    bundled.index.error = IndexDown("the index does not answer")
    await bundled.pulled(agent)

    async def waits() -> bool:
        said = await bundled.said(agent)
        return bool(said["error"] == "the index does not answer" and said["again_s"] > 0)

    await until(waits)
    bundled.index.error = None
    bundled.cluster.clock.ahead_s = 60.0
    assert (await bundled.made(agent)).artefacts


@pytest.mark.on_both_stores
async def test_it_is_made_for_the_sites_of_its_tag_before_they_ask(bundled: Bundled) -> None:
    ledger = Ledger(bundled.cluster.store, bundled.cluster.clock)
    for name, tag, libc in (("a", "pos", "2.36"), ("b", "pos", "2.28"), ("c", "lab", "2.31")):
        claims = Claims(
            worker=WorkerName(f"ag-x-{name}"), worker_group="x", tags=frozenset({Tag(tag)}), expires_s=0
        )
        await ledger.enrol(claims, "0", 1, platform=FACTS | {"libc": f"glibc {libc}"})
    await bundled.cluster.admin.post("/api/w/main/scripts/create", json=DEPLOYED | {"tag": "pos"})
    agent = await bundled.agent("pos")
    assert (await agent.get(f"{ALL}/bundles")).json() == [BUNDLE]
    await until(lambda: len(bundled.index.asked) == 2)

    async def made() -> bool:
        admin = bundled.cluster.admin.headers["authorization"].removeprefix("Bearer ")
        path = f"/api/w/main/scripts/bundles/p/{DEPLOYED['path']}"
        shown = (await client_of(bundled.app, admin).get(path)).json()
        return bool(
            shown == [{"platform": one, "error": None} for one in (PLATFORM.replace("36", "28"), PLATFORM)]
        )

    await until(made)
    assert {platform for _, platform in bundled.index.asked} == {PLATFORM, PLATFORM.replace("36", "28")}


async def test_it_is_made_as_soon_as_a_script_has_its_lock(bundled: Bundled) -> None:
    ledger = Ledger(bundled.cluster.store, bundled.cluster.clock)
    claims = Claims(worker=WorkerName("ag-x-a"), worker_group="x", tags=frozenset({Tag("pos")}), expires_s=0)
    await ledger.enrol(claims, "0", 1, platform=FACTS)
    await bundled.cluster.admin.post("/api/w/main/scripts/create", json=DEPLOYED | {"tag": "pos"})
    bundled.bundles.locked()
    await until(lambda: bundled.index.asked == [(LOCK, PLATFORM)])


async def test_what_the_bound_took_is_fetched_anew(bundled: Bundled) -> None:
    agent = await bundled.agent("pos")
    await bundled.pulled(agent)
    manifest = await bundled.made(agent)
    for one in manifest.artefacts:
        (bundled.cache / one.sha256).unlink()
    place = {"bundle": BUNDLE, "platform": PLATFORM}
    assert (
        await agent.get(f"{ALL}/artefact/{manifest.artefacts[0].sha256}", params=place)
    ).status_code == 404
    assert await bundled.made(agent) == manifest
    assert len(bundled.index.asked) == 2


async def test_a_job_without_a_lock_names_no_bundle(bundled: Bundled) -> None:
    agent = await bundled.agent("bash")
    await bundled.cluster.preview()
    assert "bundle" not in (await agent.post(f"{ALL}/pull_job")).json()


async def test_an_agent_over_http_reads_it_as_over_rabbitmq(bundled: Bundled) -> None:
    agent = await bundled.agent("pos")
    await bundled.pulled(agent)
    manifest = await bundled.made(agent)
    one, place = manifest.artefacts[0], Want(bundle=BUNDLE, platform=PLATFORM)
    async with served(bundled.app) as url:
        bearer = agent.headers["authorization"].removeprefix("Bearer ")
        async with client_for(url, bearer, SYSTEM) as client:
            api = Api(client, SYSTEM)
            said = await brought(api, place)
            assert isinstance(said, Bundle)
            assert Keyring(bundled.cluster.signer.public_keys()).verify(
                said.kid, said.sig, stated(said.manifest)
            )
            part = await brought(api, replace(place, sha256=one.sha256, start=100, size=50))
            assert part == Part(sha256=one.sha256, start=100, part=LARGE[100:150])
            gone = await brought(api, replace(place, sha256="00" * 32, size=50))
            assert gone == Part(sha256="00" * 32, start=0, part=b"")
            assert await brought(api, Want()) == Needed(bundles=[])
            refused = await brought(api, Want(bundle=bundle_of("python3", "gamma==1"), platform=PLATFORM))
            assert isinstance(refused, Bundle)
            assert "404" in refused.error
            assert refused.again_s > 0


async def test_over_rabbitmq_it_is_told_to_who_may_have_it(bundled: Bundled) -> None:
    """As the collector hands on what agents want; the teller is a list."""
    ledger, supply = (
        Ledger(bundled.cluster.store, bundled.cluster.clock),
        Supply(bundled.bundles, bundled.cluster.clock),
    )
    mine, other = WorkerName("ag-pos-a"), WorkerName("ag-lab-b")
    for worker, tag in ((mine, "pos"), (other, "lab")):
        claims = Claims(worker=worker, worker_group="x", tags=frozenset({Tag(tag)}), expires_s=0)
        await ledger.enrol(claims, "0", 1)
    await bundled.cluster.admin.post("/api/w/main/scripts/create", json=DEPLOYED | {"tag": "pos"})
    told: list[tuple[WorkerName, Message]] = []

    async def tell(worker: WorkerName, messages: Any) -> None:
        told.extend((worker, message) for message in messages)

    async def answers(worker: WorkerName, want: Want, kind: type[Message]) -> Any:
        before = len(told)
        supply.heed(worker, want)
        return await until(
            lambda: next((one for who, one in told[before:] if who == worker and isinstance(one, kind)), None)
        )

    running = asyncio.ensure_future(supply.run(tell))
    try:
        assert await answers(mine, Want(), Needed) == Needed(bundles=[BUNDLE])
        assert await answers(other, Want(), Needed) == Needed(bundles=[])
        manifest = Want(bundle=BUNDLE, platform=PLATFORM)
        assert (await answers(mine, manifest, Bundle)).again_s > 0
        said = await until(
            lambda: next((one for _, one in told if isinstance(one, Bundle) and one.manifest), None)
        )
        one = read_manifest(said.manifest).artefacts[0]
        assert Keyring(bundled.cluster.signer.public_keys()).verify(said.kid, said.sig, stated(said.manifest))
        want = Want(bundle=BUNDLE, platform=PLATFORM, sha256=one.sha256, start=100, size=50)
        assert await answers(mine, want, Part) == Part(sha256=one.sha256, start=100, part=LARGE[100:150])
        assert (await answers(mine, replace(want, sha256="00" * 32), Part)).part == b""
        assert (await answers(mine, replace(want, start=-1), Part)).part == b""
        assert len((await answers(mine, replace(want, size=2**40), Part)).part) == 128 * 1024
        for theft in (manifest, want):
            supply.heed(other, theft)
        await answers(other, Want(), Needed)
        assert all(isinstance(message, Needed) for worker, message in told if worker == other)
        for _ in range(5000):  # a flood is bounded
            supply.heed(mine, want)
        assert supply._wants.qsize() <= 1000
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
