"""Zombies (agent-api.md 5.3): restarted three times, then failed; at_most_once never restarted (I2)."""

from pathlib import Path

import pytest

from bridge.store.on_server import OnServer
from tests.support.cluster import Running, running_cluster

pytestmark = pytest.mark.on_both_stores

SILENCE_S = 60.0


async def lose(cluster: Running) -> int:
    cluster.clock.ahead_s += SILENCE_S + 1
    return await cluster.cluster.jobs.sweep_zombies(SILENCE_S)


async def test_it_is_given_to_another_and_the_first_is_fenced(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    await jobs.pull("ag-x-1", ["bash"])
    assert await lose(cluster) == 1
    pulled = await jobs.pull("ag-x-2", ["bash"])
    assert pulled is not None
    assert pulled.job_id == job_id
    assert (await jobs.ping(job_id, "ag-x-1", None)).already_completed
    assert not (await jobs.ping(job_id, "ag-x-2", None)).already_completed
    job = await cluster.job(job_id)
    assert "Restarted job after no ping from job" in str(job["logs"])


async def test_one_that_pings_keeps_it(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    await jobs.pull("ag-x-1", ["bash"])
    cluster.clock.ahead_s += 40
    await jobs.ping(job_id, "ag-x-1", None)
    cluster.clock.ahead_s += 40
    assert await jobs.sweep_zombies(SILENCE_S) == 0


async def test_after_three_restarts_it_fails(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    for _ in range(4):
        assert await jobs.pull("ag-x-1", ["bash"]) is not None
        assert await lose(cluster) == 1
    assert await jobs.pull("ag-x-1", ["bash"]) is None
    job = await cluster.job(job_id)
    assert (job["type"], job["success"], job["canceled"]) == ("CompletedJob", False, False)
    assert "no ping from job" in str(job["result"])


async def test_at_most_once_is_never_started_again(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview(delivery="at_most_once")
    await jobs.pull("ag-x-1", ["bash"])
    assert await lose(cluster) == 1
    assert await jobs.pull("ag-x-2", ["bash"]) is None
    assert "CustodianLost" in str((await cluster.job(job_id))["result"])


async def test_an_outage_of_the_cluster_itself_costs_nobody_a_job(
    cluster: Running, store_place: Path | OnServer
) -> None:
    await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    async with running_cluster(store_place) as restarted:
        restarted.clock.ahead_s = 3600
        assert await restarted.cluster.jobs.sweep_zombies(SILENCE_S) == 0
        assert await lose(restarted) == 1


async def test_a_flows_turn_is_another_workers_within_seconds(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    flow = {"value": {"modules": []}, "args": {"x": 1}}
    job_id = (await cluster.admin.post("/api/w/main/jobs/run/preview_flow", json=flow)).text
    script = await cluster.preview()
    for lane in ("flow", "bash"):
        assert await jobs.pull_for_normal_worker("wk-x-1", [lane], 0) is not None
    cluster.clock.ahead_s += 16
    assert await jobs.sweep_zombies(SILENCE_S) == 1
    again = await jobs.pull_for_normal_worker("wk-x-2", ["flow", "bash"], 0)
    assert again is not None
    assert again.job_id == job_id
    assert (await cluster.job(script))["running"] is True
