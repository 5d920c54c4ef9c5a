"""Each part is kept by itself; the result is recorded once all of them are there and add up."""

import hashlib

import httpx
import pytest

from agent.wire.envelope import BLOB_PART_BYTES
from tests.support.cluster import Running
from tests.support.databases import plain

pytestmark = pytest.mark.on_both_stores

ROWS = plain("SELECT count(*) FROM result_part")

DOCUMENT = b'"' + b"x" * (2 * BLOB_PART_BYTES) + b'"'
SHA256 = hashlib.sha256(DOCUMENT).hexdigest()
PARTS = [DOCUMENT[start : start + BLOB_PART_BYTES] for start in range(0, len(DOCUMENT), BLOB_PART_BYTES)]


@pytest.fixture
async def agent(cluster: Running) -> httpx.AsyncClient:
    await cluster.preview()
    return await cluster.agent("bash")


async def pull(agent: httpx.AsyncClient) -> str:
    job_id: str = (await agent.post("/api/agent_workers/pull_job")).json()["job"]["id"]
    return job_id


async def send(agent: httpx.AsyncClient, job: str, index: int, sha256: str = SHA256) -> httpx.Response:
    place = {"sha256": sha256, "index": index}
    return await agent.post(
        f"/api/w/main/agent_workers/result_part/{job}", content=PARTS[index], params=place
    )


async def name_it(agent: httpx.AsyncClient, job: str) -> httpx.Response:
    body = {"success": True, "result": None, "result_sha256": SHA256}
    return await agent.post(f"/api/w/main/agent_workers/send_result/{job}", json=body)


async def kept(cluster: Running) -> int:
    count: int = (await cluster.store.read(lambda db: db.execute(ROWS).fetchone()))[0]
    return count


async def test_in_any_order_and_repeated(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await pull(agent)
    for index in (2, 0, 1, 1):
        assert (await send(agent, job, index)).content == b'"ok"'
    assert (await name_it(agent, job)).content == b'"recorded"'
    assert (await cluster.job(job))["result"] == "x" * (2 * BLOB_PART_BYTES)
    assert await kept(cluster) == 0


async def test_a_missing_part_is_no_result(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await pull(agent)
    await send(agent, job, 0)
    answer = await name_it(agent, job)
    assert answer.status_code == 400
    assert "send it whole" in answer.text
    assert (await cluster.job(job))["type"] == "QueuedJob"


async def test_another_result_of_the_job_takes_the_room(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await pull(agent)
    await send(agent, job, 0, "0" * 64)
    await send(agent, job, 0)
    assert await kept(cluster) == 1


async def test_of_a_job_that_is_over_none_is_kept(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await pull(agent)
    await send(agent, job, 0)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job}", json={})
    assert (await send(agent, job, 1)).status_code == 200
    assert await kept(cluster) == 0


async def test_a_stranger_sends_none(cluster: Running, agent: httpx.AsyncClient) -> None:
    job = await pull(agent)
    stranger = await cluster.agent("other", suffix="other-q1w2e")
    assert (await send(stranger, job, 0)).status_code == 404
    assert await kept(cluster) == 0
