"""What is asked on the command line stands in the store, and the bridge that leads carries it out."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Result
from bridge import trust_command
from bridge.__main__ import main
from bridge.errors import ClusterDown, ConfigError
from bridge.quarantine_command import carried_out
from bridge.relay.ledger import Ledger
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.shelf import Kept, Shelf, Wish
from bridge.relay.sources.local import LocalSource
from bridge.store.connection import OnServer
from tests.support.cluster import Running, running_cluster
from tests.support.until import until

WORKER = WorkerName("ag-shop-a")


@dataclass
class Bridge:
    """With a result in quarantine whose job waits to be run elsewhere, and one whose job has ended."""

    running: Running
    folder: Path | OnServer
    quarantine: Quarantine
    waits: Kept
    ended: Kept
    is_down: bool = False
    tasks: list["asyncio.Future[None]"] = field(default_factory=list)

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.running.store, self.running.clock)

    def begin(self) -> None:
        self.tasks.append(asyncio.ensure_future(self.quarantine.run(self.running.clock)))

    async def says(self, do: str, kept: Kept | None = None) -> Any:
        """What the command prints."""
        said: list[str] = []
        asked = argparse.Namespace(command="quarantine", do=do, id=named(kept) if kept else "")
        env = {"BRIDGE_STORE": str(self.folder / "bridge.db")} if isinstance(self.folder, Path) else {}
        await asyncio.to_thread(trust_command.run, asked, env, said.append)
        return json.loads(said[0])


def named(kept: Kept) -> str:
    return f"{kept.job_id}/{kept.attempt}/{kept.worker}"


@pytest.fixture
async def bridge(store_place: Path | OnServer) -> AsyncIterator[Bridge]:
    async with running_cluster(store_place) as running:
        ledger, source = Ledger(running.store, running.clock), LocalSource(running.cluster.jobs)

        async def at_cluster(result: Result, document: bytes) -> bool:
            if made.is_down:
                raise ClusterDown("cut")
            return await source.record(result, document)

        recorder = Recorder(source, ledger, running.clock)
        quarantine = Quarantine(ledger, recorder, running.cluster.tokens.blacklist.holds, at_cluster)
        waits = await kept_of(running, await running.preview())
        ended = await running.preview()
        await running.admin.post(f"/api/w/main/jobs_u/queue/cancel/{ended}", json={})
        made = Bridge(running, store_place, quarantine, waits, await kept_of(running, ended))
        yield made
        for task in made.tasks:
            task.cancel()


async def kept_of(running: Running, job_id: str) -> Kept:
    kept = Kept(JobId(job_id), Attempt(1), WORKER)
    result = Result(job_id=kept.job_id, attempt=kept.attempt, workspace="main", success=True, started_at=1.0)
    await Shelf(running.store, running.clock).offer(kept, pack([result]), b'"late"')
    return kept


async def test_what_is_accepted_is_the_jobs_result(bridge: Bridge) -> None:
    bridge.begin()
    listed = {row["id"]: row for row in await bridge.says("list")}
    assert set(listed) == {named(bridge.waits), named(bridge.ended)}
    assert (listed[named(bridge.waits)]["link"], listed[named(bridge.waits)]["may_accept"]) == ("http", 1)
    assert await bridge.says("show", bridge.waits) == "late"
    assert await bridge.says("accept", bridge.waits) == {"accepted": named(bridge.waits)}
    assert (await bridge.running.job(bridge.waits.job_id))["result"] == "late"
    with pytest.raises(ConfigError, match=r"no result .* waits"):
        await bridge.says("show", bridge.waits)
    with pytest.raises(ConfigError, match=r"no result .* waits"):
        await bridge.says("reject", bridge.waits)
    (row,) = [row for row in await bridge.says("list") if row["decision"]]
    assert (row["decided_by"], row["bytes"]) == ("the command line", None)


async def test_what_cannot_be_done_says_why(bridge: Bridge) -> None:
    bridge.begin()
    with pytest.raises(ConfigError, match="keeps its recorded result"):
        await bridge.says("accept", bridge.ended)
    assert await bridge.says("reject", bridge.ended) == {"rejected": named(bridge.ended)}
    for odd in ("", "job", "job/1", "job/x/worker", "/1/worker"):
        with pytest.raises(ConfigError, match="see `quarantine list`"):
            await carried_out(bridge.shelf, odd, Wish.REJECT, 0.0)


@pytest.mark.on_both_stores
async def test_what_waits_for_the_bridge_or_its_cluster_is_done_later(bridge: Bridge) -> None:
    shelf = bridge.shelf
    told = await carried_out(shelf, named(bridge.waits), Wish.ACCEPT, 0.0)
    assert told["to accept"] == named(bridge.waits)
    bridge.is_down = True
    await bridge.quarantine.carry_out()
    assert await shelf.answer(bridge.waits) == (None, None)
    bridge.is_down = False
    await bridge.quarantine.carry_out()
    assert await shelf.answer(bridge.waits) == ("accepted", None)


async def test_a_store_that_refuses_ends_nothing(bridge: Bridge) -> None:
    store: Any = bridge.running.store
    shelf = bridge.shelf
    await carried_out(shelf, named(bridge.waits), Wish.REJECT, 0.0)
    store.may_use = lambda: False  # what its owner sets when the folder is gone
    bridge.begin()
    await until(lambda: store.failing)
    store.may_use = lambda: True

    async def decided() -> bool:
        return await shelf.answer(bridge.waits) == ("rejected", None)

    await until(decided, within_s=30)


def test_the_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["quarantine", "--help"])
    assert ended.value.code == 0
    assert {"list", "show", "accept", "reject"} <= set(capsys.readouterr().out.replace(",", " ").split())
