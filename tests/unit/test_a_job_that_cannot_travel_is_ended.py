"""Hop 2: what is too large or too long for the wire ends with an error that says so; nothing goes twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.envelope import MAX_BYTES
from bridge.relay.dispatcher import Dispatcher
from bridge.relay.ledger import Ledger
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Pulled
from tests.support.carrier import Carrier
from tests.support.cluster import Running, running_cluster
from tests.support.until import until

SHOP = WorkerName("ag-shop-a")
BASH = Tag("bash")


class OddCluster(LocalSource):
    """Hands out jobs as no embedded cluster would: changed, or once more."""

    idle_s = 0.1  # what it hands out again nobody has pushed

    def __init__(self, running: Running, **changed: Any) -> None:
        super().__init__(running.cluster.jobs)
        self._changed = changed
        self.last: Pulled | None = None
        self.again: Pulled | None = None

    def lanes(self, served: frozenset[Tag]) -> list[frozenset[Tag]]:
        return [served]

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        pulled = await super().pull(lane, languages)
        if pulled is None:
            pulled, self.again = self.again, None
        else:
            pulled = self.last = replace(pulled, **self._changed)
        return pulled


@asynccontextmanager
async def dispatching(running: Running, source: LocalSource) -> AsyncIterator[tuple[Ledger, Carrier]]:
    ledger, carrier = Ledger(running.store, running.clock), Carrier()
    await ledger.enrol(Claims(worker=SHOP, worker_group="shop", tags=frozenset({BASH}), expires_s=0), "0", 1)
    dispatcher = Dispatcher(
        source, ledger, carrier, await Signer.load(ledger), running.clock, Policies(),
        Recorder(source, ledger, running.clock), ready_max=10,
    )  # fmt: skip
    running_it = asyncio.ensure_future(dispatcher.run())
    try:
        yield ledger, carrier
    finally:
        running_it.cancel()


async def ends_with(running: Running, said: str, **changed: Any) -> None:
    job_id = await running.preview()
    async with dispatching(running, OddCluster(running, **changed)) as (ledger, carrier):
        await until(lambda: _is_closed(ledger))
        assert carrier.jobs == []
    error = (await running.job(job_id))["result"]["error"]
    assert error["name"] == "Unsendable"
    assert said in error["message"]


async def _is_closed(ledger: Ledger) -> bool:
    return [row["state"] for row in await ledger.custody()] == ["closed"]


async def test_a_job_over_16_mib(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        await ends_with(running, "over 16 MiB", code="x" * MAX_BYTES)


async def test_a_tag_too_long_for_a_queue(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        await ends_with(running, "shorten the tag", tag=Tag("x" * 300))


async def test_a_job_that_is_out_already_is_not_sent_again(tmp_path: Path) -> None:
    """The cluster lost sight of it while the bridge was away, and hands it out once more."""
    async with running_cluster(tmp_path) as running:
        await running.preview()
        source = OddCluster(running)
        async with dispatching(running, source) as (ledger, carrier):
            await until(lambda: carrier.jobs)
            source.again = source.last
            await until(lambda: source.again is None)
            assert len(carrier.jobs) == 1
            assert [row["attempt"] for row in await ledger.custody()] == [1]
