"""The JSON text that a worker sent is the text that people get."""

import httpx
import pytest

from bridge.jobs.model import Completed, Completion
from tests.support.cluster import Running

WATCH = "/api/w/main/jobs_u"


async def run(cluster: Running, body: bytes) -> tuple[str, httpx.Response]:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job", content=b"null")
    sent = await agent.post(f"/api/w/main/agent_workers/send_result/{job_id}", content=body)
    return job_id, sent


async def test_verbatim(cluster: Running) -> None:
    job_id, sent = await run(cluster, b'{"success":true,"result":{"b": 1.0,  "a":1e2,"b2":"\\u00e9"}}')
    assert (sent.status_code, sent.json()) == (200, "recorded")
    result = await cluster.admin.get(f"{WATCH}/completed/get_result/{job_id}")
    assert (result.status_code, result.headers["content-type"]) == (200, "application/json")
    assert result.content == b'{"b": 1.0,  "a":1e2,"b2":"\\u00e9"}'


async def test_a_failure_is_wrapped_as_error(cluster: Running) -> None:
    job_id, _ = await run(cluster, b'{"success":false,"result":"See logs for more details","duration":7}')
    result = await cluster.admin.get(f"{WATCH}/completed/get_result/{job_id}")
    assert result.content == b'{"error":"See logs for more details"}'
    job = await cluster.job(job_id)
    assert (job["success"], job["canceled"], job["duration_ms"]) == (False, False, 7)


async def test_a_worker_says_cancelled(cluster: Running) -> None:
    job_id, _ = await run(
        cluster, b'{"success":false,"result":{},"canceled_by":{"username":"ann","reason":"late"}}'
    )
    job = await cluster.job(job_id)
    assert (job["canceled"], job["canceled_by"], job["canceled_reason"]) == (True, "ann", "late")


async def test_get_result_maybe_always_has_its_four_keys(cluster: Running) -> None:
    async def maybe(job_id: str) -> bytes:
        return (await cluster.admin.get(f"{WATCH}/completed/get_result_maybe/{job_id}")).content

    job_id = await cluster.preview()
    assert await maybe(job_id) == b'{"completed":false,"started":false,"success":false,"result":null}'
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    assert await maybe(job_id) == b'{"completed":false,"started":true,"success":false,"result":null}'
    completion = Completion(success=True, result=b"[1]")
    assert await cluster.cluster.jobs.complete("main", job_id, completion) is Completed.RECORDED
    assert await maybe(job_id) == b'{"completed":true,"started":true,"success":true,"result":[1]}'


async def test_nothing_yet_is_404(cluster: Running) -> None:
    job_id = await cluster.preview()
    for path in ("completed/get_result", "completed/get"):
        response = await cluster.admin.get(f"{WATCH}/{path}/{job_id}")
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/plain")


async def test_what_only_python_calls_json_is_mended(cluster: Running) -> None:
    job_id, sent = await run(cluster, b'{"success":true,"result":["\\ud800",NaN]}')
    assert sent.status_code == 200
    result = await cluster.admin.get(f"{WATCH}/completed/get_result/{job_id}")
    assert result.json() == ["?", None]


@pytest.mark.parametrize("result", [b"", b"{", b'"\xff"', b"[" * 100_000])
async def test_what_is_no_json_ends_the_job_and_says_so(cluster: Running, result: bytes) -> None:
    job_id = await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    completion = Completion(success=True, result=result)
    assert await cluster.cluster.jobs.complete("main", job_id, completion) is Completed.RECORDED
    recorded = (await cluster.admin.get(f"{WATCH}/completed/get_result/{job_id}")).json()
    assert recorded["error"]["name"] == "BadResult"


async def test_a_figure_that_no_store_can_hold_keeps_no_result_out(cluster: Running) -> None:
    job_id = await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    await cluster.cluster.jobs.ping(job_id, "ag-x-1", 2**70)
    completion = Completion(success=True, result=b"1", duration_ms=-(2**80))
    assert await cluster.cluster.jobs.complete("main", job_id, completion) is Completed.RECORDED
    assert (await cluster.job(job_id))["mem_peak"] == 2**63 - 1
