"""A relay whose dead letters come to where people see them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute

from agent.wire.claims import Attempt, JobId, TokenId, WorkerName
from agent.wire.messages import Result
from bridge.relay.collector import Collector
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters, Letter, LetterKind
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.replays import Replays
from bridge.relay.routes import LetterRoutes
from bridge.relay.sources.local import LocalSource
from bridge.store.connection import OnServer
from bridge.web.asgi import build
from tests.support.carrier import Carrier, enrolled, taken
from tests.support.cluster import Running, client_of, running_cluster

SHOP = WorkerName("ag-shop-a")


@dataclass
class Relay:
    running: Running
    source: LocalSource
    ledger: Ledger
    carrier: Carrier
    lost: Lost
    letters: DeadLetters
    replays: Replays
    quarantine: Quarantine
    revoked: set[TokenId] = field(default_factory=set)

    def api(self, *routes: BaseRoute, has_broker: bool = True) -> httpx.AsyncClient:
        """The API of a bridge with a broker, or without one, and these routes."""
        cluster, replays = self.running.cluster, self.replays if has_broker else None
        api = LetterRoutes(self.letters, replays, cluster.require_superadmin, cluster.audit.note).all()
        bearer = self.running.admin.headers["authorization"].removeprefix("Bearer ")
        return client_of(build([*cluster.routes, *routes, *api]), bearer)

    async def out(self) -> JobId:
        """A job that the ledger has, and that the shop may take."""
        custody = await taken(self.running, self.source, self.ledger)
        await enrolled(self.ledger, SHOP, "bash")
        return custody.job_id

    async def letter(self) -> dict[str, Any]:
        (found,) = await self.letters.listed()
        return found

    async def replay(self) -> str:
        return await self.replays.replay((await self.letter())["id"])

    async def states(self) -> list[tuple[int, str]]:
        return sorted((row["attempt"], row["state"]) for row in await self.ledger.custody())


def result_of(job_id: str, **about: Any) -> Result:
    known = {"attempt": Attempt(1), "workspace": "main", "success": True, "document": b'"stray"'}
    return Result(job_id=JobId(job_id), **known | about)


@asynccontextmanager
async def buried(store_place: Path | OnServer) -> AsyncIterator[Relay]:
    async with running_cluster(store_place) as running:
        source = LocalSource(running.cluster.jobs)
        ledger, carrier = Ledger(running.store, running.clock), Carrier()
        recorder = Recorder(source, ledger, running.clock)
        lost = Lost(recorder, ledger, running.clock, Policies())
        revoked: set[TokenId] = set()

        async def is_revoked(token: TokenId) -> bool:
            return token in revoked

        quarantine = Quarantine(ledger, recorder, is_revoked)
        proofs, signer = running.cluster.devices.require_signed, running.signer
        collector = Collector(
            source, ledger, carrier, lost, recorder, quarantine, running.clock, proofs, signer
        )
        letters = DeadLetters(running.store, running.clock)
        replays = Replays(letters, ledger, lost, recorder, quarantine)
        tasks = [asyncio.ensure_future(run) for run in (letters.run(carrier), collector.run())]
        await asyncio.sleep(0)
        yield Relay(running, source, ledger, carrier, lost, letters, replays, quarantine, revoked)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
async def relay(store_place: Path | OnServer) -> AsyncIterator[Relay]:
    async with buried(store_place) as relay:
        yield relay


def letter(kind: LetterKind, job_id: str, body: bytes = b"", worker: WorkerName = SHOP) -> Letter:
    return Letter(
        kind=kind, worker=worker, job_id=JobId(job_id), attempt=Attempt(1), reason="because", body=body
    )
