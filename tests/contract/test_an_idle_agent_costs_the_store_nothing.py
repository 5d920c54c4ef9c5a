"""However many agents ask and ping, the store is asked only when something has happened."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.cluster import Running

PULL = "/api/agent_workers/pull_job"
PING = "/api/agent_workers/update_ping"
VERSION = "/api/agent_workers/get_min_version"
AGENTS = 20
SOON_S = 10.0
NO_WORK = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "PRAGMA")


@pytest.fixture
async def statements(cluster: Running) -> list[str]:
    """What SQLite has run since, as it was given to it."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if not statement.startswith(NO_WORK):
            seen.append(statement)

    def trace(connection: Any) -> None:
        connection.set_trace_callback(note)

    await cluster.store.write(trace)
    await cluster.store.read(trace)
    return seen


async def crowd(cluster: Running) -> list[httpx.AsyncClient]:
    """Agents whose tokens have proved themselves, and of which one has just asked in vain."""
    agents = [await cluster.agent("bash", suffix=f"till-{number}") for number in range(AGENTS)]
    for agent in agents:
        await agent.get(VERSION)
    assert (await agents[0].post(PULL)).content == b"null"
    return agents


async def test_polls_and_pings_of_many(cluster: Running, statements: list[str]) -> None:
    agents = await crowd(cluster)
    started = {"ping_type": "Initial", "worker_instance": "till", "ip": "1.2.3.4", "version": "v1.600.0\0"}
    statements.clear()
    for agent in agents:
        await agent.post(PING, json=started)
        for _ in range(3):  # as the original's agent does
            assert (await agent.post(PULL)).content == b"null"
            await agent.post(PING, json={"ping_type": "MainLoop", "native_mode": True})
        first = {"Idempotency-Key": "one", "Orvanta-First": "1", "Prefer": "wait=0"}  # as ours does
        assert (await agent.post(PULL, headers=first)).content == b"null"
    assert len(statements) < AGENTS  # what is looked at every 2 s for all of them, on a slow machine
    statements.clear()
    await cluster.cluster.workers._presence.record()
    assert len(statements) == 3  # rows of new workers, what they said, who is long gone
    listed = (await cluster.admin.get("/api/workers/list")).json()
    assert len(listed) == AGENTS
    assert {(row["wm_version"], row["native_mode"]) for row in listed} == {("v1.600.0", True)}


async def test_a_job_is_with_an_agent_all_the_same(cluster: Running) -> None:
    first, second, *_ = await crowd(cluster)
    job = await cluster.preview()
    assert (await first.post(PULL)).json()["job"]["id"] == job
    late = await cluster.preview(scheduled_in_secs=1)  # nobody is told of it when its time comes
    assert (await second.post(PULL)).content == b"null"
    async with asyncio.timeout(SOON_S):
        pulled = await second.post(PULL, headers={"Prefer": "wait=50"}, timeout=60)
    assert pulled.json()["job"]["id"] == late


async def test_what_was_asked_before_is_looked_for(cluster: Running) -> None:
    """The answer may have been lost; another request has found the tag empty since."""
    first, second, *_ = await crowd(cluster)
    job = await cluster.preview()
    key = {"Idempotency-Key": "one"}
    assert (await first.post(PULL, headers=key)).json()["job"]["id"] == job
    assert (await second.post(PULL)).content == b"null"
    assert (await first.post(PULL, headers=key)).json()["job"]["id"] == job


async def test_news_that_was_lost_is_made_up_for(cluster: Running) -> None:
    agent = (await crowd(cluster))[0]
    job = await cluster.preview()
    cluster.cluster.jobs._arrivals.empty.add("bash")  # as if nobody had told of the push
    assert (await agent.post(PULL)).content == b"null"
    await cluster.cluster.jobs.look_for_untold()
    assert (await agent.post(PULL)).json()["job"]["id"] == job


async def test_many_jobs_are_pinged_in_one_statement(cluster: Running, statements: list[str]) -> None:
    jobs = cluster.cluster.jobs
    for _ in range(AGENTS):
        await cluster.preview()
    pulled = [await jobs.pull("ag-x-1", ["bash"]) for _ in range(AGENTS)]
    held = [job.job_id for job in pulled if job is not None]
    assert len(held) == AGENTS
    statements.clear()
    replies = await jobs.ping_all([held[0], "of nobody", *held[1:]], "ag-x-1")
    assert len(statements) == 1
    assert [reply.already_completed for reply in replies] == [False, True, *[False] * (AGENTS - 1)]
