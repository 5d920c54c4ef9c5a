"""The normal worker runs scripts by its tags, ends with nothing lost, and is seen on the Workers page."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.wire.claims import WorkerName
from bridge.variables.environment import NewEnvironmentVariable
from tests.support.cluster import Running
from tests.support.normal_worker import NAME, working
from tests.support.until import until

RESOLVE = "/api/w/main/jobs/run/dependencies"
SLEEP = "echo begun; read -r -t 60 nothing < <(tail -f /dev/null) || echo waited"


async def ended(cluster: Running, job_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        job = await cluster.job(job_id)
        return job if job["type"] == "CompletedJob" else None

    job = await until(look)
    assert job is not None
    return job


async def says(cluster: Running, job_id: str, word: str) -> None:
    await until(lambda: _said(cluster, job_id, word))


async def _said(cluster: Running, job_id: str, word: str) -> bool:
    return word in (await cluster.admin.get(f"/api/w/main/jobs_u/get_logs/{job_id}")).text


@pytest.mark.on_both_stores
async def test_scripts_of_its_tags_are_run_with_what_jobs_see(cluster: Running, tmp_path: Path) -> None:
    await cluster.cluster.environments.set("main", NewEnvironmentVariable("SHOP", "suva"))
    async with working(cluster, tmp_path / "work", "bash", "py"):
        bash = await cluster.preview('echo "$SHOP $WM_WORKSPACE $ORVANTA_ATTEMPT"')
        python = await cluster.preview(
            "def main(x: int):\n    print('hi')\n    return x + 1",
            language="python3",
            tag="py",
            args={"x": 2},
        )
        other = await cluster.preview("echo no", tag="elsewhere")
        done = [await ended(cluster, job) for job in (bash, python)]
    assert [job["result"] for job in done] == ["suva main 1", 3]
    assert [job["worker"] for job in done] == [NAME, NAME]
    assert str(done[1]["logs"]).startswith(f"job={python} tag=py worker={NAME} hostname=here")
    assert "hi\n" in str(done[1]["logs"])
    assert (await cluster.job(other))["running"] is False


async def test_a_failure_says_why_and_a_cancel_stops_what_runs(cluster: Running, tmp_path: Path) -> None:
    async with working(cluster, tmp_path / "work", "bash"):
        failing, sleeping = await cluster.preview("echo bad >&2; exit 3"), await cluster.preview(SLEEP)
        await says(cluster, sleeping, "begun")
        await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{sleeping}", json={"reason": "no"})
        failed, canceled = await ended(cluster, failing), await ended(cluster, sleeping)
    assert failed["result"]["error"]["exit_code"] == 3
    assert (canceled["canceled"], canceled["canceled_by"], canceled["canceled_reason"]) == (
        True,
        "admin",
        "no",
    )


async def test_a_time_limit_makes_a_failure(cluster: Running, tmp_path: Path) -> None:
    async with working(cluster, tmp_path / "work", "bash"):
        job = await ended(cluster, await cluster.preview(SLEEP, timeout=1))
    assert (job["success"], job["canceled"]) == (False, False)
    assert "timeout" in str(job["result"])


@pytest.mark.on_both_stores
async def test_stopped_it_gives_back_what_it_may_and_ends_what_may_run_once(
    cluster: Running, tmp_path: Path
) -> None:
    async with working(cluster, tmp_path / "work", "bash"):
        again, once = await cluster.preview(SLEEP), await cluster.preview(SLEEP, delivery="at_most_once")
        for job in (again, once):
            await says(cluster, job, "begun")
    assert (await cluster.job(again))["running"] is False
    lost = await ended(cluster, once)
    assert lost["result"]["error"]["name"] == "CustodianLost"
    assert list((tmp_path / "work").iterdir()) == []
    async with working(cluster, tmp_path / "work", "bash", name="wk-default-other-1"):
        await says(cluster, again, "wk-default-other-1")


@pytest.mark.on_both_stores
async def test_what_a_dead_worker_left_running_goes_to_another(cluster: Running, tmp_path: Path) -> None:
    job = await cluster.preview("echo again")
    pulled = await cluster.cluster.jobs.pull_for_normal_worker("wk-default-dead-1", ["bash"], 0)
    assert pulled is not None
    await cluster.cluster.holding.take_from(
        WorkerName("wk-default-dead-1"), "its worker died", is_trusted=True
    )
    async with working(cluster, tmp_path / "work", "bash"):
        done = await ended(cluster, job)
    assert (done["worker"], done["success"]) == (NAME, True)


async def test_one_that_lost_its_job_drops_what_came_of_it(cluster: Running, tmp_path: Path) -> None:
    async with working(cluster, tmp_path / "work", "bash"):
        job = await cluster.preview(SLEEP)
        await says(cluster, job, "begun")
        await cluster.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job}", json={})
        await until(lambda: not list((tmp_path / "work").iterdir()))
    assert (await ended(cluster, job))["result"]["error"]["name"] == "Canceled"


@pytest.mark.on_both_stores
async def test_it_stands_among_the_workers_and_serves_its_tags(cluster: Running, tmp_path: Path) -> None:
    async with working(cluster, tmp_path / "work", "flow", "dependency"):
        (row,) = await until(lambda: _listed(cluster))
        served = (await cluster.admin.get("/api/workers/exists_workers_with_tags?tags=flow,gpu")).json()
    assert (row["worker"], row["worker_group"], row["custom_tags"]) == (
        NAME,
        "default",
        ["dependency", "flow"],
    )
    assert served == {"flow": True, "gpu": False}


async def _listed(cluster: Running) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await cluster.admin.get("/api/workers/list")).json()
    return rows


async def test_a_script_with_a_tag_of_flows_does_not_run_beside_the_cluster(
    cluster: Running, tmp_path: Path
) -> None:
    async with working(cluster, tmp_path / "work", "flow", "dependency"):
        done = [await ended(cluster, await cluster.preview(tag=tag)) for tag in ("flow", "dependency")]
    assert [job["result"]["error"]["name"] for job in done] == ["NotForThisTag"] * 2


async def test_closed_it_ends_once_what_runs_has_ended(cluster: Running, tmp_path: Path) -> None:
    async with working(cluster, tmp_path / "work", "bash") as task:
        job = await cluster.preview("echo begun; sleep 0.3; echo done")
        await says(cluster, job, "begun")
        cluster.cluster.jobs.close()
        async with asyncio.timeout(20):
            await task
    assert (await cluster.job(job))["result"] == "done"


async def test_a_dependency_job_is_resolved_and_a_cancelled_one_is_stopped(
    cluster: Running, tmp_path: Path
) -> None:
    asked = {"raw_scripts": [{"raw_code": "import json\ndef main(): pass", "language": "python3"}]}
    waits = (await cluster.admin.post(f"{RESOLVE}_async", json=asked)).text
    stopped = (await cluster.admin.post(f"{RESOLVE}_async", json=asked)).text
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{stopped}", json={})
    async with working(cluster, tmp_path / "work", "dependency"):
        done = await ended(cluster, waits)
        told = (await cluster.admin.post(RESOLVE, json=asked)).json()
    assert (done["success"], done["worker"]) == (True, NAME)
    assert told == done["result"]
    assert told["lock"].startswith("# py: 3.11")
    assert (await cluster.job(stopped))["canceled"] is True
