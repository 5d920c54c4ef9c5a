"""A job has one recorded result (I1), however often and by whomever it is sent."""

import asyncio

import pytest

from bridge.jobs.model import Completed, Completion
from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores


async def test_a_second_result_changes_nothing_and_is_no_error(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job", content=b"null")
    send = f"/api/w/main/agent_workers/send_result/{job_id}"
    first = await agent.post(send, json={"success": True, "result": 1})
    second = await agent.post(send, json={"success": False, "result": 2})
    assert [first.content, second.content] == [b'"recorded"', b'"already"']
    assert second.status_code == 200
    result = await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")
    assert result.content == b"1"


async def test_many_at_once_record_one(cluster: Running) -> None:
    job_id = await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    async with asyncio.TaskGroup() as group:
        sent = [
            group.create_task(
                cluster.cluster.jobs.complete(
                    "main", job_id, Completion(success=True, result=str(number).encode())
                )
            )
            for number in range(20)
        ]
    outcomes = [task.result() for task in sent]
    assert outcomes.count(Completed.RECORDED) == 1
    assert outcomes.count(Completed.ALREADY) == 19
    result = await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")
    assert result.json() == outcomes.index(Completed.RECORDED)


async def test_a_late_result_of_a_job_that_was_restarted_counts(cluster: Running) -> None:
    job_id = await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    cluster.clock.ahead_s += 61
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1
    completion = Completion(success=True, result=b'"late"')
    assert await cluster.cluster.jobs.complete("main", job_id, completion) is Completed.RECORDED
    assert await cluster.cluster.jobs.pull("ag-x-2", ["bash"]) is None


async def test_an_unknown_job_or_workspace_is_404(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    for workspace, wanted in (("admins", job_id), ("main", "0190f000-0000-7000-8000-000000000001")):
        sent = await agent.post(
            f"/api/w/{workspace}/agent_workers/send_result/{wanted}", json={"success": True, "result": 1}
        )
        assert sent.status_code == 404
