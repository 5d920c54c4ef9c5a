"""The embedded cluster for tests: the real application on a store of its own."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from agent.clock import Clock, SystemClock
from agent.wire.claims import TokenId
from bridge.devices.service import FIRST_USE, Rules
from bridge.jobs.tag_rules import TagRules
from bridge.pages.assembly import Pages, open_pages
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.runs.carriage import Carriage
from bridge.store.connection import open_store
from bridge.store.on_server import OnServer
from bridge.store.store import Store
from bridge.tokens.model import NewPersonToken
from bridge.web.asgi import build
from bridge.web.cluster import Cluster, open_cluster
from tests.support.first_store import ADMIN, BASE_URL, PASSWORD, put_first_store

TAGS = TagRules(["gpu(lab+ship)", "pos-$args[shop]", "till"])


class MovedClock(SystemClock):
    """The machine's clock, moved ahead by as much as the test says."""

    ahead_s = 0.0

    def wall_s(self) -> float:
        return super().wall_s() + self.ahead_s

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


def client_of(app: ASGIApp, bearer: str | None) -> httpx.AsyncClient:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A cluster and a superadmin's client to it."""

    cluster: Cluster
    store: Store
    clock: MovedClock
    app: ASGIApp
    admin: httpx.AsyncClient
    signer: Signer

    def client(self, bearer: str | None) -> httpx.AsyncClient:
        return client_of(self.app, bearer)

    async def agent(self, *tags: str, group: str = "pos", suffix: str = "till-a1b2c") -> httpx.AsyncClient:
        """A client with an agent token for `tags`, as an agent sends it."""
        body = {"worker_group": group, "tags": list(tags), "exp": int(time.time()) + 3600}
        minted = (await self.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
        return self.client(f"jwt_agent_{suffix}_{minted.removeprefix('jwt_agent_')}")

    async def preview(self, code: str = "echo hi", **body: object) -> str:
        """The id of a bash job; keys that are run parameters go into the query."""
        query = {key: body.pop(key) for key in list(body) if key in QUERY}
        response = await self.admin.post(
            "/api/w/main/jobs/run/preview",
            json={"content": code, "language": "bash", "args": {}, **body},
            params={key: str(value) for key, value in query.items()},
        )
        assert response.status_code == 201, response.text
        return response.text

    async def job(self, job_id: str) -> dict[str, object]:
        found: dict[str, object] = (await self.admin.get(f"/api/w/main/jobs_u/get/{job_id}")).json()
        return found


QUERY = {
    "scheduled_for", "scheduled_in_secs", "timeout", "priority", "job_id", "delivery", "lost_after",
    "replace", "not_after", "retry",
}  # fmt: skip


async def _nobody_is_revoked(_token: TokenId) -> bool:
    return False


def pages_of(
    cluster: Cluster,
    store: Store,
    clock: Clock,
    signer: Signer,
    carriage: Carriage | None = None,
    quarantine: Quarantine | None = None,
) -> Pages:
    """As a bridge without a broker shows them; with a `carriage`, as one that has one."""
    ledger, source = Ledger(store, clock), LocalSource(cluster.jobs, cluster.environments)
    recorder = Recorder(source, ledger, clock)
    return open_pages(
        cluster,
        store,
        ledger,
        clock,
        signer,
        None,
        tags=TAGS,
        policies=Policies(),
        base_url=BASE_URL,
        letters=DeadLetters(store, clock),
        quarantine=quarantine or Quarantine(ledger, recorder, _nobody_is_revoked, source.record),
        carriage=carriage,
    )


@asynccontextmanager
async def running_cluster(place: Path | OnServer, rules: Rules = FIRST_USE) -> AsyncIterator[Running]:
    """In this folder, or on this database."""
    if isinstance(place, Path):
        await put_first_store(place)
    store = await open_store(place / "bridge.db" if isinstance(place, Path) else place)
    clock = MovedClock()
    try:
        password = None if isinstance(place, Path) else PASSWORD
        signer = await Signer.load(Ledger(store, clock))
        cluster = await open_cluster(store, clock, BASE_URL, password, sign=signer.headers, rules=rules)
        pages = pages_of(cluster, store, clock, signer)
        app = build([*cluster.routes, *pages.routes])
        token = await cluster.tokens.create(ADMIN, NewPersonToken())
        yield Running(
            cluster=cluster, store=store, clock=clock, app=app, admin=client_of(app, token), signer=signer
        )
    finally:
        await store.close()


@pytest.fixture
async def cluster(store_place: Path | OnServer) -> AsyncIterator[Running]:
    async with running_cluster(store_place) as running:
        yield running


@asynccontextmanager
async def served(app: ASGIApp, **tls: Any) -> AsyncIterator[str]:
    """The application on a free loopback port; its base URL. `tls`: uvicorn's `ssl_…`, then over HTTPS."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from here on a client may connect; it is answered once uvicorn accepts
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", **tls))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]), name="uvicorn")
            try:
                yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
