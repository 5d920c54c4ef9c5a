"""The token's tags are the only authority on what an agent may pull or speak for (I4)."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.support.cluster import Running
from tests.support.databases import plain

PULL = "/api/agent_workers/pull_job"


async def pull(agent: httpx.AsyncClient) -> str | None:
    response = await agent.post(PULL, content=b"null")
    assert response.status_code == 200
    pulled = response.json()
    return None if pulled is None else str(pulled["job"]["id"])


async def test_tags_match_exactly(cluster: Running) -> None:
    job_id = await cluster.preview(tag="pos-north")
    for stranger in ("pos", "pos-nort", "pos-north-2", "POS-NORTH", "*", "bash"):
        assert await pull(await cluster.agent(stranger)) is None
    assert await pull(await cluster.agent("bash", "pos-north")) == job_id


async def test_a_job_is_handed_out_once(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    assert await pull(agent) == job_id
    assert await pull(agent) is None


async def test_priority_first_then_longest_due_then_oldest(cluster: Running) -> None:
    now = datetime.now(UTC)
    plain = await cluster.preview(tag="a")
    earlier = await cluster.preview(tag="b", scheduled_for=(now - timedelta(hours=1)).isoformat())
    low = await cluster.preview(tag="a", priority=-5)
    high = await cluster.preview(tag="b", priority=7)
    second = await cluster.preview(tag="a")
    agent = await cluster.agent("a", "b")
    assert [await pull(agent) for _ in range(6)] == [high, low, earlier, plain, second, None]


async def test_a_scheduled_job_waits_for_its_time(cluster: Running) -> None:
    job_id = await cluster.preview(scheduled_in_secs=3600)
    agent = await cluster.agent("bash")
    assert await pull(agent) is None
    cluster.clock.ahead_s = 3500
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"]) is None
    cluster.clock.ahead_s = 3700
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"]) is not None
    assert (await cluster.job(job_id))["running"] is True


async def test_a_job_past_its_not_after_is_not_handed_out(cluster: Running) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    job_id = await cluster.preview(not_after=soon)
    following = await cluster.preview()
    cluster.clock.ahead_s = 61
    assert await pull(await cluster.agent("bash")) == following
    result = await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")
    assert result.json()["error"]["name"] == "Expired"


async def test_a_request_for_a_shell_gets_null(cluster: Running) -> None:
    await cluster.preview()
    agent = await cluster.agent("bash")
    assert (await agent.post(PULL, content=b"true")).content == b"null"


async def test_a_job_that_cannot_begin_is_handed_to_nobody(cluster: Running) -> None:
    job_id = await cluster.preview()
    following = await cluster.preview()
    spoil = plain("UPDATE job SET pre_run_error = 'no such argument' WHERE id = :id")
    await cluster.store.write(lambda connection: connection.execute(spoil, {"id": job_id}).rowcount)
    assert await pull(await cluster.agent("bash")) == following
    result = await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")
    assert result.json()["error"] == {"name": "PreRunError", "message": "no such argument"}


async def test_what_is_for_normal_workers_goes_to_no_agent(cluster: Running) -> None:
    job_id = await cluster.preview(tag="flow")
    assert await pull(await cluster.agent("flow", "bash")) is None
    pulled = await cluster.cluster.jobs.pull_for_normal_worker("wk-1", ["flow"], 0)
    assert pulled is not None
    assert pulled.job_id == job_id


async def test_another_tags_agent_may_not_speak_for_the_job(cluster: Running) -> None:
    job_id = await cluster.preview(tag="pos-north")
    north = await cluster.agent("pos-north")
    south = await cluster.agent("pos-south", suffix="south-x9y8z")
    assert await pull(north) == job_id
    sent = await south.post(
        f"/api/w/main/agent_workers/send_result/{job_id}", json={"success": True, "result": "forged"}
    )
    logged = await south.post(f"/api/w/main/agent_workers/push_logs/{job_id}", json="forged")
    flagged = await south.post(
        f"/api/agent_workers/set_job_cancelled/{job_id}", json={"canceled_by": "x", "reason": "y"}
    )
    assert [sent.status_code, logged.status_code, flagged.status_code] == [404, 404, 404]
    pinged = await south.post(f"/api/agent_workers/ping_job_status/{job_id}", json={"mem_peak": 1})
    assert pinged.json() == {"canceled_by": None, "canceled_reason": None, "already_completed": True}
    job = await cluster.job(job_id)
    assert (job["running"], job["logs"], job["canceled"], job["mem_peak"]) == (True, "", False, None)
