"""A cluster in this process that real agents reach over HTTP: as a bridge of ours, or one that knows none."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.wire.claims import Tag, WorkerName
from bridge.agents.enrol import Enrolments
from bridge.agents.static_users import without_login
from bridge.relay.ledger import Ledger
from bridge.web.asgi import build
from dev_tools.proxy import Cut, LinkProxy
from tests.support.cluster import Running, running_cluster, served
from tests.support.world import Agent

OURS_ALONE = "/api/agent_workers/held_jobs"


@dataclass(slots=True, kw_only=True)
class HttpCluster:
    running: Running
    folder: Path
    link: LinkProxy
    asked: list[tuple[float, str]] = field(default_factory=list)  # monotonic seconds, path
    agents: ExitStack = field(default_factory=ExitStack)
    silent_from: str = ""

    def lose_answers_from(self, name: str) -> None:
        """The next request to this endpoint is taken; its answer and those after it are lost on the way."""
        self.silent_from = name

    def note(self, path: str) -> None:
        self.asked.append((time.monotonic(), path))
        if self.silent_from and self.silent_from in path:
            self.silent_from = ""
            self.link.cut(Cut.DOWN)

    def count(self, name: str) -> int:
        """How often this endpoint was called."""
        return sum(name in path for _, path in self.asked)

    async def agent(self, *tags: str, slots: int = 1) -> Agent:
        """A real one, its link up."""
        exp = int(time.time()) + 3600
        body = {"worker_group": "site", "tags": list(tags), "exp": exp}
        token = (await self.running.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
        settings = {
            "MODE": "agent",
            "AGENT_TOKEN": token,
            "BASE_INTERNAL_URL": f"http://127.0.0.1:{self.link.port}",
        }
        agent = Agent(self.folder / "site", settings, ["--slots", str(slots)])
        self.agents.callback(agent.close)
        await agent.start()
        return agent

    async def result(self, job_id: str) -> object:
        """Its result once it has one, else None."""
        return (await self.running.job(job_id)).get("result")

    async def is_running(self, job_id: str) -> bool:
        return bool((await self.running.job(job_id)).get("running"))

    async def log(self, job_id: str) -> str:
        return (await self.running.admin.get(f"/api/w/main/jobs_u/get_logs/{job_id}")).text


@asynccontextmanager
async def plain_cluster(folder: Path) -> AsyncIterator[HttpCluster]:
    """It speaks what any Orvanta speaks, and 404 to the rest."""
    async with running_cluster(folder) as running:
        known = [
            one for one in running.cluster.routes if not isinstance(one, Route) or one.path != OURS_ALONE
        ]
        async with _served(running, known, folder) as opened:
            yield opened


@asynccontextmanager
async def bridge_cluster(folder: Path) -> AsyncIterator[HttpCluster]:
    """As `python -m bridge serve` without a broker."""
    async with running_cluster(folder) as running:
        enrolments = Enrolments(
            Ledger(running.store, running.clock),
            running.cluster.devices,
            running.cluster.successors,
            _let_in,
            running.signer,
            None,
            without_login,
            clock=running.clock,
            admissions_per_s=50,
        )
        async with _served(running, [*enrolments.routes(), *running.cluster.routes], folder) as opened:
            yield opened


async def _let_in(_worker: WorkerName, _tags: frozenset[Tag]) -> None: ...


@asynccontextmanager
async def _served(running: Running, routes: Sequence[BaseRoute], folder: Path) -> AsyncIterator[HttpCluster]:
    app = build(routes)
    told: list[Callable[[str], None]] = []
    async with served(_noting(app, told)) as url:
        with LinkProxy("127.0.0.1", urlsplit(url).port or 0) as link:
            opened = HttpCluster(running=running, folder=folder, link=link)
            told.append(opened.note)
            with opened.agents:
                yield opened
            running.cluster.jobs.close()


def _noting(app: ASGIApp, told: Sequence[Callable[[str], None]]) -> ASGIApp:
    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for tell in told:
                tell(scope["path"])
        await app(scope, receive, send)

    return noted
