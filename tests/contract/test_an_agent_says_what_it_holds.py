"""`held_jobs`: one question for all jobs keeps them alive, and tells what is not as the agent believes."""

import asyncio
from typing import Any

import httpx
import pytest

from agent.wire.claims import Claims, Tag, WorkerName
from bridge.relay.ledger import Ledger
from tests.support.cluster import Running
from tests.support.until import until

ALL = "/api/agent_workers"
NOTHING = {"canceled": [], "elsewhere": [], "over": []}
SOON_S = 10.0
WORKER = WorkerName("ag-pos-till-a1b2c")
DAY_S = 86_400


@pytest.fixture
async def agent(cluster: Running) -> httpx.AsyncClient:
    """Enrolled, so that it keeps its jobs while it is cut off."""
    claims = Claims(worker=WORKER, worker_group="pos", tags=frozenset((Tag("bash"),)), expires_s=2**40)
    await Ledger(cluster.store, cluster.clock).enrol(claims, "0", 1)
    return await cluster.agent("bash")


async def pull(agent: httpx.AsyncClient, key: str = "") -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    job = (await agent.post(f"{ALL}/pull_job", headers=headers)).json()["job"]
    return {"id": job["id"], "attempt": job["attempt"]}


async def ask(
    agent: httpx.AsyncClient, *jobs: dict[str, Any], wait_s: int = 0, **more: Any
) -> dict[str, Any]:
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    answer = await agent.post(f"{ALL}/held_jobs", json={"jobs": jobs, **more}, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_all_is_as_it_believes(cluster: Running, agent: httpx.AsyncClient) -> None:
    await cluster.preview()
    assert await ask(agent, await pull(agent)) == NOTHING


async def test_a_cancel_answers_at_once_and_once(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await cluster.preview()
    held = await pull(agent)
    asking = asyncio.ensure_future(ask(agent, held, wait_s=50))
    await until(lambda: cluster.cluster.jobs.cancels._waited_for)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job}", json={"reason": "wrong"})
    async with asyncio.timeout(SOON_S):
        told = await asking
    assert told == NOTHING | {"canceled": [held | {"by": "admin", "reason": "wrong"}]}
    assert await ask(agent, held | {"canceled": True}) == NOTHING


async def test_a_recorded_job_is_over(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await cluster.preview()
    held = await pull(agent)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job}", json={})
    assert (await ask(agent, held))["over"] == [held | {"canceled": False}]
    unknown = {"id": "0198aaaa-0000-7000-8000-000000000000", "attempt": 1}
    assert (await ask(agent, unknown))["over"] == [unknown | {"canceled": False}]


async def test_a_job_is_kept_while_its_agent_is_cut_off(cluster: Running, agent: httpx.AsyncClient) -> None:
    await cluster.preview()
    await pull(agent)
    cluster.clock.ahead_s = DAY_S - 60
    assert await cluster.cluster.jobs.sweep_zombies(60) == 0
    cluster.clock.ahead_s = DAY_S + 60
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1


async def test_the_jobs_own_lost_after_counts_from_the_last_word(
    cluster: Running, agent: httpx.AsyncClient
) -> None:
    await cluster.preview(lost_after=600)
    held = await pull(agent)
    cluster.clock.ahead_s = 500
    assert await ask(agent, held) == NOTHING
    cluster.clock.ahead_s = 1050
    assert await cluster.cluster.jobs.sweep_zombies(60) == 0
    cluster.clock.ahead_s = 1150
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1
    assert (await ask(agent, held))["elsewhere"] == [held | {"canceled": False}]


async def test_a_job_that_is_handed_out_anew_has_the_next_attempt(
    cluster: Running, agent: httpx.AsyncClient
) -> None:
    await cluster.preview()
    first = await pull(agent)
    assert (await ask(agent, lost=[first])) == NOTHING
    second = await pull(agent)
    assert second == {"id": first["id"], "attempt": first["attempt"] + 1}
    assert (await ask(agent, first, second))["elsewhere"] == [first | {"canceled": False}]


async def test_what_never_arrived_is_handed_out_anew(cluster: Running, agent: httpx.AsyncClient) -> None:
    jobs = [await cluster.preview() for _ in range(3)]
    held = await pull(agent, "first")
    await pull(agent, "died with its process")
    await pull(agent, "asked again")
    assert await ask(agent, held, all=True, asking="asked again") == NOTHING
    again = await pull(agent, "asked again")
    assert again == {"id": jobs[2], "attempt": 1}
    assert await pull(agent, "fourth") == {"id": jobs[1], "attempt": 2}


async def test_an_at_most_once_job_that_was_lost_ends(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await cluster.preview(delivery="at_most_once")
    await pull(agent)
    await ask(agent, all=True)
    record = await cluster.job(job)
    assert record["result"]["error"]["name"] == "CustodianLost"  # type: ignore[index] # a JSON object


async def test_nobody_loses_the_jobs_of_another(cluster: Running, agent: httpx.AsyncClient) -> None:
    await cluster.preview()
    held = await pull(agent)
    stranger = await cluster.agent("bash", suffix="other-q1w2e")
    assert (await ask(stranger, lost=[held], all=True)) == NOTHING
    assert await ask(agent, held) == NOTHING
