"""A pull whose answer was lost is sent again with its key, and strands no job."""

import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

PULL = "/api/agent_workers/pull_job"
KEY = "Idempotency-Key"


async def test_the_same_key_gets_the_same_job(cluster: Running) -> None:
    first, second = await cluster.preview(), await cluster.preview()
    agent = await cluster.agent("bash")
    for _ in range(3):
        assert (await agent.post(PULL, headers={KEY: "a"})).json()["job"]["id"] == first
    assert (await agent.post(PULL, headers={KEY: "b"})).json()["job"]["id"] == second
    assert (await agent.post(PULL, headers={KEY: "a"})).json()["job"]["id"] == first
    assert (await agent.post(PULL, headers={KEY: "c"})).content == b"null"


async def test_without_a_key_each_pull_takes_another(cluster: Running) -> None:
    jobs = [await cluster.preview(), await cluster.preview()]
    agent = await cluster.agent("bash")
    assert [(await agent.post(PULL)).json()["job"]["id"] for _ in jobs] == jobs


async def test_a_key_is_its_workers_own(cluster: Running) -> None:
    jobs = [await cluster.preview(), await cluster.preview()]
    agents = [await cluster.agent("bash"), await cluster.agent("bash", suffix="other-q1w2e")]
    pulled = [(await agent.post(PULL, headers={KEY: "a"})).json()["job"]["id"] for agent in agents]
    assert pulled == jobs


async def test_a_job_that_ended_is_not_handed_out_again(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post(PULL, headers={KEY: "a"})
    sent = await agent.post(
        f"/api/w/main/agent_workers/send_result/{job_id}", json={"success": True, "result": 1}
    )
    assert sent.content == b'"recorded"'
    assert (await agent.post(PULL, headers={KEY: "a"})).content == b"null"


async def test_a_job_that_its_worker_lost_is_another_workers(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post(PULL, headers={KEY: "a"})
    cluster.clock.ahead_s = 61
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1
    other = await cluster.agent("bash", suffix="other-q1w2e")
    assert (await other.post(PULL, headers={KEY: "x"})).json()["job"]["id"] == job_id
    assert (await agent.post(PULL, headers={KEY: "a"})).content == b"null"


async def test_an_endless_key_is_refused(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.post(PULL, headers={KEY: "x" * 101})).status_code == 400
