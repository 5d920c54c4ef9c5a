"""An Orvanta without enrolment: the agent is a plain agent worker to it, and holds its jobs as ever."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.http_cluster import HttpCluster, plain_cluster
from tests.support.until import until
from tests.support.world import Agent


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HttpCluster]:
    async with plain_cluster(tmp_path) as opened:
        yield opened


def until_opened(gate: Path, then: str) -> str:
    return f"touch {gate}-begun; while [ ! -e {gate} ]; do sleep 0.05; done; {then}"


async def test_jobs_make_the_round_trip(cluster: HttpCluster) -> None:
    await cluster.agent("bash", slots=2)
    jobs = [await cluster.running.preview(f"echo working; echo {n}") for n in range(6)]
    for number, job in enumerate(jobs):
        assert await until(lambda job=job: cluster.result(job), within_s=30) == str(number)
    for job in jobs:
        await until(lambda job=job: _has(cluster, job, "working\n"))
        assert (await cluster.log(job)).count("working\n") == 1
    listed = (await cluster.running.admin.get("/api/workers/list")).json()
    assert [(one["worker_group"], one["custom_tags"]) for one in listed] == [("site", ["bash"])]


async def test_a_large_result_goes_whole(cluster: HttpCluster) -> None:
    await cluster.agent("bash")
    job = await cluster.running.preview("head -c 300000 /dev/zero | tr '\\0' x > result.out")
    assert await until(lambda: cluster.result(job), within_s=30) == "x" * 300_000


async def test_a_cancel_stops_what_runs(cluster: HttpCluster, tmp_path: Path) -> None:
    await cluster.agent("bash")
    job = await cluster.running.preview(until_opened(tmp_path / "gate", "echo done"))
    await until((tmp_path / "gate-begun").exists, within_s=30)
    await cluster.running.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job}", json={"reason": "no"})
    await until(lambda: cluster.result(job), within_s=30)
    assert (await cluster.running.job(job))["canceled"]


async def test_a_result_waits_for_the_cluster(cluster: HttpCluster, tmp_path: Path) -> None:
    agent = await cluster.agent("bash")
    job = await cluster.running.preview(until_opened(tmp_path / "gate", "echo done"))
    await until((tmp_path / "gate-begun").exists, within_s=30)
    cluster.link.cut()
    (tmp_path / "gate").touch()
    await until(lambda: _has_backlog(agent), within_s=30)
    agent.kill()
    agent.launch()
    cluster.link.restore()
    assert await until(lambda: cluster.result(job), within_s=60) == "done"
    await until(lambda: _holds_nothing(agent), within_s=30)


async def given_up(cluster: HttpCluster) -> int:
    """How many jobs the cluster takes for lost a minute later; a ping on its way may still come in."""
    cluster.running.clock.ahead_s += 61
    return await cluster.running.cluster.jobs.sweep_zombies(60)


async def test_a_job_that_is_given_to_its_holder_again_ends_as_ever(
    cluster: HttpCluster, tmp_path: Path
) -> None:
    """The cluster gave up on the silent agent, and the agent is the first to ask for work when it is back."""
    await cluster.agent("bash")
    job = await cluster.running.preview(until_opened(tmp_path / "gate", "echo done"))
    await until((tmp_path / "gate-begun").exists, within_s=30)
    cluster.link.cut()
    assert await until(lambda: given_up(cluster)) == 1
    cluster.link.restore()
    await until(lambda: cluster.is_running(job), within_s=60)
    (tmp_path / "gate").touch()
    assert await until(lambda: cluster.result(job), within_s=30) == "done"


async def test_a_job_whose_answer_was_lost_is_the_clusters_again(
    cluster: HttpCluster, tmp_path: Path
) -> None:
    """A pull has no name here that it could be repeated by, so the cluster has to miss the job first."""
    await cluster.agent("bash")
    cluster.link.cut()
    job = await cluster.running.preview(f"echo ran >> {tmp_path}/trace; echo done")
    cluster.lose_answers_from("pull_job")
    cluster.link.restore()
    heartbeats = cluster.running.cluster.jobs.heartbeats
    await until(lambda: heartbeats.last(job), within_s=60)  # it has been handed out
    cluster.link.cut()
    cluster.link.restore()
    assert await until(lambda: given_up(cluster)) == 1
    assert await until(lambda: cluster.result(job), within_s=60) == "done"
    assert (tmp_path / "trace").read_text() == "ran\n"


async def test_log_text_whose_answer_was_lost_is_not_sent_twice(cluster: HttpCluster, tmp_path: Path) -> None:
    """Nobody knows whether it was taken, so a mark stands behind it."""
    agent = await cluster.agent("bash")
    gate = tmp_path / "gate"
    job = await cluster.running.preview(f"echo first; {until_opened(gate, 'echo last; echo done')}")
    await until(lambda: _has(cluster, job, "first\n"), within_s=30)
    cluster.lose_answers_from("push_logs")
    gate.touch()
    await until(lambda: _has(cluster, job, "done\n"), within_s=30)  # taken: only the answer is lost
    cluster.link.cut()
    cluster.link.restore()
    assert await until(lambda: cluster.result(job), within_s=60) == "done"
    await until(lambda: _holds_nothing(agent), within_s=30)
    await until(lambda: _has(cluster, job, "characters missing: the cluster did not say"))
    text = await cluster.log(job)
    assert [text.count(f"{word}\n") for word in ("first", "last", "done")] == [1, 1, 1]


async def _has(cluster: HttpCluster, job: str, text: str) -> bool:
    return text in await cluster.log(job)


async def _holds_nothing(agent: Agent) -> bool:
    return (await asyncio.to_thread(agent.status))["custody"] == {}  # beside the loop, which is the cluster's


async def _has_backlog(agent: Agent) -> bool:
    return (await asyncio.to_thread(agent.status))["backlog"] > 0
