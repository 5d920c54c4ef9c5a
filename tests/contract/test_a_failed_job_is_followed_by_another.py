"""The run parameter `retry`: each attempt is a job of its own, a child of the first (agent-api.md 8.1)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import wmill

from bridge.jobs.model import Completion
from bridge.store.on_server import OnServer
from tests.support.cluster import PASSWORD, Running, running_cluster, served
from tests.support.until import until

pytestmark = pytest.mark.on_both_stores

TWICE = json.dumps({"constant": {"attempts": 2, "seconds": 10}})
FAILED = {"success": False, "result": {"name": "ValueError", "message": "boom"}}
RUN = "/api/w/main/jobs/run"


async def handed_out(cluster: Running) -> str | None:
    """The id of the job that an agent gets now."""
    agent = await cluster.agent("bash")
    answer = (await agent.post("/api/agent_workers/pull_job", json=None)).json()
    return None if answer is None else str(answer["job"]["id"])


async def ended(cluster: Running, job_id: str, body: dict[str, Any] = FAILED) -> None:
    agent = await cluster.agent("bash")
    answer = await agent.post(f"/api/w/main/agent_workers/send_result/{job_id}", json=body)
    assert answer.status_code == 200


async def fails(cluster: Running) -> str:
    job_id = await handed_out(cluster)
    assert job_id is not None
    await ended(cluster, job_id)
    return job_id


async def test_until_its_attempts_are_used(cluster: Running) -> None:
    first = await cluster.preview(args={"n": 1.50}, retry=TWICE, priority=3)
    assert await fails(cluster) == first
    tried = [first]
    for _ in range(2):
        assert await handed_out(cluster) is None  # not before its delay
        cluster.clock.ahead_s += 10
        tried.append(await fails(cluster))
    cluster.clock.ahead_s += 600
    assert await handed_out(cluster) is None
    jobs = [await cluster.job(job_id) for job_id in tried]
    assert len(set(tried)) == 3
    assert [(job["parent_job"], job["is_retry"]) for job in jobs] == [
        (None, False),
        (first, True),
        (first, True),
    ]
    assert {(str(job["args"]), job["priority"], job["success"]) for job in jobs} == {("{'n': 1.5}", 3, False)}


async def test_a_success_ends_it_and_each_job_keeps_its_own_result(cluster: Running) -> None:
    first = await cluster.preview(retry=TWICE)
    await fails(cluster)
    cluster.clock.ahead_s += 10
    second = await handed_out(cluster)
    assert second is not None
    await ended(cluster, second, {"success": True, "result": 7})
    results = "/api/w/main/jobs_u/completed/get_result"
    assert (await cluster.admin.get(f"{results}/{first}")).json() == {"error": FAILED["result"]}
    assert (await cluster.admin.get(f"{results}/{second}")).json() == 7
    cluster.clock.ahead_s += 600
    assert await handed_out(cluster) is None


async def test_who_waits_gets_what_came_of_it_all(cluster: Running) -> None:
    again = json.dumps({"constant": {"attempts": 2, "seconds": 0}})
    body = {"content": "x", "language": "bash"}
    url = "/api/w/main/jobs/run_wait_result/preview"
    for last, status in (({"success": True, "result": [1]}, 200), (FAILED, 500)):
        call = asyncio.create_task(cluster.admin.post(url, json=body, params={"retry": again}))
        for sent in (FAILED, FAILED, last):
            assert not call.done()
            job_id = await until(lambda: handed_out(cluster))
            await ended(cluster, job_id, sent)
        answer: httpx.Response = await call
        assert (answer.status_code, answer.json()) == (
            status,
            [1] if status == 200 else {"error": FAILED["result"]},
        )


async def test_a_cancelled_job_is_not_tried_again(cluster: Running) -> None:
    running = await cluster.preview(retry=TWICE)
    await handed_out(cluster)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{running}", json={})
    await ended(cluster, running)
    await cluster.preview(retry=TWICE)
    await fails(cluster)
    (waits,) = (await cluster.admin.get("/api/w/main/jobs/queue/list")).json()
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{waits['id']}", json={})
    cluster.clock.ahead_s += 600
    assert await handed_out(cluster) is None


async def test_a_job_that_its_worker_stopped_at_its_time_limit_is_tried_again(cluster: Running) -> None:
    first = await cluster.preview(retry=TWICE, timeout=1)
    await handed_out(cluster)
    agent = await cluster.agent("bash")
    stopped = {"canceled_by": "timeout", "reason": "duration > 1"}
    await agent.post(f"/api/agent_workers/set_job_cancelled/{first}", json=stopped)
    await ended(cluster, first)
    cluster.clock.ahead_s += 10
    assert await handed_out(cluster) is not None


async def test_what_no_worker_reported_as_failed_is_not_tried_again(cluster: Running) -> None:
    await cluster.preview(retry=TWICE, replace="never")
    await handed_out(cluster)
    cluster.clock.ahead_s += 61
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1
    unrun = await cluster.preview(retry=TWICE)
    await cluster.cluster.jobs.complete(
        "main", unrun, Completion(success=False, result=b"{}", may_retry=False)
    )
    cluster.clock.ahead_s += 600
    assert await handed_out(cluster) is None


async def test_a_retry_wakes_whoever_waits_for_jobs(cluster: Running) -> None:
    await cluster.preview(retry=TWICE)
    await cluster.cluster.jobs.wait_for_push(0)
    await fails(cluster)
    async with asyncio.timeout(10):
        await cluster.cluster.jobs.wait_for_push(3600)


async def test_it_outlives_the_process_that_recorded_the_failure(
    cluster: Running, store_place: Path | OnServer
) -> None:
    first = await cluster.preview(retry=TWICE)
    await fails(cluster)
    await cluster.store.close()
    async with running_cluster(store_place) as restarted:
        restarted.clock.ahead_s = 11
        retried = await restarted.cluster.jobs.pull("ag-x-1", ["bash"])
        assert retried is not None
        assert retried.parent_job == first


async def test_what_cannot_be_kept_is_refused(cluster: Running) -> None:
    script = {"path": "u/a/b", "content": "", "language": "bash", "delivery": "at_most_once"}
    await cluster.admin.post("/api/w/main/scripts/create", json=script)
    body = {"content": "", "language": "bash"}
    for target, query, told in (
        ("preview", {"retry": '{"retry_if": {"expr": "true"}}'}, "retry_if is not served"),
        ("preview", {"retry": "often"}, "retry must be JSON such as"),
        ("preview", {"retry": TWICE, "delivery": "at_most_once"}, "at_most_once job is not retried"),
        ("p/u/a/b", {"retry": TWICE}, "at_most_once job is not retried"),
    ):
        answer = await cluster.admin.post(f"{RUN}/{target}", json=body, params=query)
        assert (answer.status_code, told in answer.text) == (400, True)
    assert (await cluster.admin.get("/api/w/main/jobs/list")).json() == []


async def test_the_sdk_asks_for_it(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WM_JOB_ID", "WM_ROOT_FLOW_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    script = {"path": "u/admin/s", "content": "echo hi", "language": "bash"}
    await cluster.admin.post("/api/w/main/scripts/create", json=script)
    async with served(cluster.app) as url:
        login = {"email": "admin@orvanta.local", "password": PASSWORD}
        token = (await cluster.admin.post("/api/auth/login", json=login)).text
        sdk = await asyncio.to_thread(wmill.Windmill, url, token, "main")
        policy = {"constant": {"attempts": 1, "seconds": 0}}
        first = await asyncio.to_thread(sdk.run_script_by_path_async, "u/admin/s", retry=policy)
        assert await fails(cluster) == first
        second = await handed_out(cluster)
        assert second is not None
        job = await asyncio.to_thread(sdk.get_job, second)
    assert (job["parent_job"], job["is_retry"]) == (first, True)
