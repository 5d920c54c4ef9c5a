"""The moment a job ends, by whatever hand, wakes who waits for it; nobody has to look again and again."""

import httpx
import pytest

from tests.support.cluster import Running

AT = "/api/w/main"


async def end(cluster: Running, agent: httpx.AsyncClient, job_id: str, way: str) -> None:
    if way == "result":
        body = {"success": True, "result": 1}
        await agent.post(f"{AT}/agent_workers/send_result/{job_id}", json=body)
    elif way == "force_cancel":
        await cluster.admin.post(f"{AT}/jobs_u/queue/force_cancel/{job_id}", json={})
    else:
        cluster.clock.ahead_s = 61
        await cluster.cluster.jobs.sweep_zombies(60)


@pytest.mark.parametrize("way", ["result", "force_cancel", "silence"])
async def test_a_running_job(cluster: Running, way: str) -> None:
    job_id, other = await cluster.preview(delivery="at_most_once"), await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job", json=None)
    endings = cluster.cluster.jobs.endings
    with endings.watched(job_id) as first, endings.watched(job_id) as second, endings.watched(other) as none:
        assert not first.is_set()
        await end(cluster, agent, job_id, way)
        assert (first.is_set(), second.is_set(), none.is_set()) == (True, True, False)
    assert (await cluster.job(job_id))["type"] == "CompletedJob"


async def test_a_job_that_is_cancelled_while_it_waits(cluster: Running) -> None:
    job_id = await cluster.preview()
    with cluster.cluster.jobs.endings.watched(job_id) as ended:
        await cluster.admin.post(f"{AT}/jobs_u/queue/cancel/{job_id}", json={})
        assert ended.is_set()


async def test_a_job_whose_argument_is_missing(cluster: Running) -> None:
    job_id = await cluster.preview(args={"x": "$var:f/none/x"})
    with cluster.cluster.jobs.endings.watched(job_id) as ended:
        await (await cluster.agent("bash")).post("/api/agent_workers/pull_job", json=None)
        assert ended.is_set()
