"""run_wait_result: the caller gets the job's result instead of its id (agent-api.md 8.1)."""

import asyncio
import base64
import json

import httpx

from tests.support.cluster import Running
from tests.support.until import until

RUN = "/api/w/main/jobs/run_wait_result"
PREVIEW = {"content": "echo hi", "language": "bash", "args": {}}


async def ended(
    cluster: Running, call: asyncio.Task[httpx.Response], result: object, *, success: bool = True
) -> httpx.Response:
    """The answer to `call`, once an agent has given its job this result."""
    agent = await cluster.agent("bash")
    job = await until(lambda: pulled(agent))
    body = {"success": success, "result": result}
    await agent.post(f"/api/w/main/agent_workers/send_result/{job['id']}", json=body)
    return await call


async def pulled(agent: httpx.AsyncClient) -> dict[str, object]:
    answer = (await agent.post("/api/agent_workers/pull_job", json=None)).json()
    found: dict[str, object] = {} if answer is None else answer["job"]
    return found


def calling(call: asyncio.Future[httpx.Response] | object) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(call)  # type: ignore[arg-type] # httpx's calls are coroutines


async def test_a_preview(cluster: Running) -> None:
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW))
    answer = await ended(cluster, call, {"n": 1})
    assert (answer.status_code, answer.content) == (200, b'{"n":1}')
    assert answer.headers["content-type"] == "application/json"


async def test_a_script_by_path_by_hash_and_by_get(cluster: Running) -> None:
    script = {"path": "u/admin/s", "content": "echo hi", "language": "bash"}
    made = (await cluster.admin.post("/api/w/main/scripts/create", json=script)).text
    payload = base64.urlsafe_b64encode(json.dumps({"x": 1}).encode()).decode().rstrip("=")
    for call in (
        cluster.admin.post(f"{RUN}/p/u/admin/s", json={"x": 1}),
        cluster.admin.post(f"{RUN}/h/{made}", json={"x": 1}),
        cluster.admin.get(f"{RUN}/p/u/admin/s", params={"payload": payload}),
    ):
        assert (await ended(cluster, calling(call), "done")).content == b'"done"'
    listed = (await cluster.admin.get("/api/w/main/jobs/list")).json()
    assert [(one["script_path"], one["success"]) for one in listed] == [("u/admin/s", True)] * 3
    args = [(await cluster.job(one["id"]))["args"] for one in listed]
    assert args == [{"x": 1}] * 3


async def test_a_failed_job_answers_500_with_its_error(cluster: Running) -> None:
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW))
    answer = await ended(cluster, call, {"name": "E", "message": "m"}, success=False)
    assert (answer.status_code, answer.json()) == (500, {"error": {"name": "E", "message": "m"}})


async def test_the_script_may_choose_the_status(cluster: Running) -> None:
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW))
    answer = await ended(cluster, call, {"windmill_status_code": 418, "result": [1]})
    assert (answer.status_code, answer.content) == (418, b"[1]")


async def test_a_cancelled_job_answers_at_once(cluster: Running) -> None:
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW))
    (job,) = await until(lambda: queued(cluster))
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job['id']}", json={"reason": "no"})
    answer = await call
    assert (answer.status_code, answer.json()["error"]["name"]) == (500, "Canceled")


async def queued(cluster: Running) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await cluster.admin.get("/api/w/main/jobs/queue/list")).json()
    return found


async def test_a_job_that_expires_in_the_queue_answers_too(cluster: Running) -> None:
    options = {"not_after": "2001-01-01T00:00:00Z"}
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW, params=options))
    await until(lambda: queued(cluster))
    assert await pulled(await cluster.agent("bash")) == {}
    assert (await call).json()["error"]["name"] == "Expired"


async def test_a_job_that_takes_long_answers_with_its_id_and_goes_on(cluster: Running) -> None:
    call = calling(cluster.admin.post(f"{RUN}/preview", json=PREVIEW))
    (job,) = await until(lambda: queued(cluster))
    cluster.clock.ahead_s = 601
    cluster.cluster.jobs.endings.note(str(job["id"]))  # it looks at the clock again
    answer = await call
    assert (answer.status_code, str(job["id"]) in answer.text) == (504, True)
    assert [one["id"] for one in await queued(cluster)] == [job["id"]]


async def test_a_full_queue_refuses_before_there_is_a_job(cluster: Running) -> None:
    waits = await cluster.preview()
    refused = await cluster.admin.post(f"{RUN}/preview", json=PREVIEW, params={"queue_limit": 1})
    assert (refused.status_code, "queue_limit" in refused.text) == (400, True)
    assert [job["id"] for job in await queued(cluster)] == [waits]


async def test_what_is_wrong_is_told_at_once(cluster: Running) -> None:
    assert (await cluster.admin.post(f"{RUN}/p/u/none", json={})).status_code == 404
    assert (await cluster.admin.get(f"{RUN}/p/u/none", params={"payload": "%"})).status_code == 400
    assert await queued(cluster) == []
