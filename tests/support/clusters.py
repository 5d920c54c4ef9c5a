"""A cluster seen from both sides: by the relay, through a source, and by the people who push jobs there."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from agent.clock import Clock, SystemClock
from agent.logs import Secret
from agent.wire.claims import Attempt
from agent.wire.messages import Result
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.sources.http import HTTPSource
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Pulled, Source
from bridge.store.connection import open_store
from bridge.upstream import REQUEST_S, Upstream
from tests.support.cluster import Running, running_cluster, served
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, fake_cluster

TAGS: Final = ("bash", "pos-a")
SUFFIX: Final = "till-a1b2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a job stands at its cluster, as a user sees it."""

    running: bool
    success: bool | None = None
    canceled_by: str | None = None
    result: Any = None
    duration_ms: int | None = None
    mem_peak_kb: int | None = None


class Cluster(Protocol):
    async def push(self, code: str = "echo hi", **job: Any) -> str:
        """A bash job; `job` may have tag, args, timeout and priority. Its id."""
        ...

    async def record(self, job_id: str) -> Record: ...

    async def logs(self, job_id: str) -> str: ...

    async def cancel(self, job_id: str, reason: str) -> None: ...

    async def force_cancel(self, job_id: str) -> None: ...

    async def set_env(self, name: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """Ours, by its public API."""

    running: Running

    async def push(self, code: str = "echo hi", **body: Any) -> str:
        return await self.running.preview(code, **{"tag": "bash", **body})

    async def record(self, job_id: str) -> Record:
        told: dict[str, Any] = await self.running.job(job_id)
        if told["type"] == "QueuedJob":
            return Record(running=bool(told["running"]))
        path = f"/api/w/main/jobs_u/completed/get_result/{job_id}"
        return Record(
            running=False,
            success=bool(told["success"]),
            canceled_by=told["canceled_by"] if told["canceled"] else None,
            result=(await self.running.admin.get(path)).json(),
            duration_ms=told["duration_ms"],
            mem_peak_kb=told["mem_peak"],
        )

    async def logs(self, job_id: str) -> str:
        return (await self.running.admin.get(f"/api/w/main/jobs_u/get_logs/{job_id}")).text

    async def cancel(self, job_id: str, reason: str) -> None:
        await self.running.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={"reason": reason})

    async def force_cancel(self, job_id: str) -> None:
        await self.running.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job_id}", json={})

    async def set_env(self, name: str, text: str) -> None:
        path = "/api/w/main/workspaces/set_environment_variable"
        answer = await self.running.admin.post(path, json={"name": name, "value": text})
        assert answer.is_success, answer.text


@dataclass(frozen=True, slots=True)
class Foreign:
    """The fake, by its memory."""

    fake: FakeCluster

    async def push(self, code: str = "echo hi", **job: Any) -> str:
        return self.fake.api.jobs.push(FakeJob(code=code, **{"tag": "bash", **job}))

    async def record(self, job_id: str) -> Record:
        job = self.fake.api.jobs.jobs[job_id]
        if not job.completions:
            return Record(running=job.state == "running")
        first = job.completions[0]
        return Record(
            running=False,
            success=first["success"] and not job.is_canceled,
            canceled_by=first["canceled_by"]["username"] if job.is_canceled else None,
            result=job.result,
            duration_ms=first.get("duration"),
            mem_peak_kb=first.get("mem_peak"),
        )

    async def logs(self, job_id: str) -> str:
        return self.fake.api.jobs.jobs[job_id].logs

    async def cancel(self, job_id: str, reason: str) -> None:
        self.fake.api.jobs.cancel(job_id, reason)

    async def force_cancel(self, job_id: str) -> None:
        self.fake.api.jobs.force_cancel(job_id)

    async def set_env(self, name: str, text: str) -> None:
        self.fake.api.environments.setdefault("main", []).append([name, text])


@dataclass(frozen=True, slots=True)
class Here:
    """One cluster and the relay's way to it."""

    cluster: Cluster
    source: Source


@asynccontextmanager
async def over_http(
    url: str, folder: Path, *tokens: str, request_s: float = REQUEST_S, clock: Clock | None = None
) -> AsyncIterator[HTTPSource]:
    """A source with the store of a relay in this folder."""
    store, clock = await open_store(folder / "relay.db"), clock or SystemClock()
    upstream = Upstream(url, clock, request_s)
    source = HTTPSource(upstream, list(map(Secret, tokens)), SUFFIX, Ledger(store, clock), clock)
    try:
        yield source
    finally:
        source.close()
        await upstream.close()
        await store.close()


@asynccontextmanager
async def ours_in_process(folder: Path) -> AsyncIterator[Here]:
    async with running_cluster(folder) as running:
        yield Here(Embedded(running), LocalSource(running.cluster.jobs, running.cluster.environments))


@asynccontextmanager
async def ours_over_http(folder: Path) -> AsyncIterator[Here]:
    async with (
        running_cluster(folder) as running,
        served(running.app) as url,
        over_http(url, folder, await minted(running, *TAGS)) as source,
    ):
        yield Here(Embedded(running), source)


@asynccontextmanager
async def foreign_over_http(folder: Path) -> AsyncIterator[Here]:
    async with fake_cluster() as fake, over_http(fake.url, folder, fake.api.token(*TAGS)) as source:
        yield Here(Foreign(fake), source)


async def minted(running: Running, *tags: str, group: str = "relay") -> str:
    """A new agent token of the embedded cluster."""
    body = {"worker_group": group, "tags": list(tags), "exp": int(time.time()) + 3600}
    token: str = (await running.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
    return token


def custody_of(job: Pulled) -> Custody:
    return Custody(
        job_id=job.job_id, attempt=Attempt(1), workspace=job.workspace, tag=job.tag, token=job.token,
        job_json=job.job_json, state="accepted",
    )  # fmt: skip


def ended(job: Pulled, document: bytes, *, success: bool = True, by: str | None = None) -> Result:
    return Result(
        job_id=job.job_id, attempt=Attempt(1), workspace=job.workspace, success=success, document=document,
        started_at=1.0, duration_ms=1234, mem_peak_kb=56,
        canceled_by=by, canceled_reason="not wanted" if by else None,
    )  # fmt: skip
