"""Schedules: a tick becomes one job, through restarts, outages and slow sites (agent-api.md 3.2, 8)."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.wire.agent_api import reserved_env
from bridge.jobs.model import Completion, Pulled
from bridge.store.on_server import OnServer
from tests.support.cluster import Running, running_cluster
from tests.support.until import until

pytestmark = pytest.mark.on_both_stores

IN = "/api/w/main/schedules"
HOURLY = {
    "path": "u/admin/hourly", "schedule": "0 0 * * * *", "timezone": "UTC", "script_path": "f/shop/rollup",
    "is_flow": False, "args": {"n": 1.50}, "enabled": True,
}  # fmt: skip
NOON_S = datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()


async def prepared(cluster: Running, **schedule: Any) -> None:
    """A script and a schedule of it; it is a minute past noon."""
    script = {"path": "f/shop/rollup", "content": "true", "language": "bash"}
    await cluster.admin.post("/api/w/main/scripts/create", json=script)
    at(cluster, NOON_S + 60)
    answer = await cluster.admin.post(f"{IN}/create", json=HOURLY | schedule)
    assert (answer.status_code, answer.text) == (200, "u/admin/hourly")


def at(cluster: Running, wall_s: float) -> None:
    cluster.clock.ahead_s += wall_s - cluster.clock.wall_s()


async def ticked(cluster: Running, hour: int, minute: int = 1) -> None:
    """It is so late, and the timer has run."""
    at(cluster, NOON_S + (hour - 12) * 3600 + minute * 60)
    await cluster.cluster.schedules.fire_due()


async def pulled(cluster: Running) -> Pulled | None:
    return await cluster.cluster.jobs.pull("ag-x-1", ["bash"])


async def ended(cluster: Running, job: Pulled, *, success: bool = True) -> None:
    await cluster.cluster.jobs.complete(
        "main", job.job_id, Completion(success=success, result=b"1", duration_ms=1)
    )


async def jobs(cluster: Running, of: str = "u/admin/hourly") -> list[dict[str, Any]]:
    """Oldest first."""
    query = {"schedule_path": of}
    found: list[dict[str, Any]] = (await cluster.admin.get("/api/w/main/jobs/list", params=query)).json()
    return found[::-1]


async def hours(cluster: Running) -> list[str]:
    return [job["scheduled_for"][11:16] for job in await jobs(cluster)]


async def schedule(cluster: Running) -> dict[str, Any]:
    found: dict[str, Any] = (await cluster.admin.get(f"{IN}/get/u/admin/hourly")).json()
    return found


async def test_one_job_a_tick(cluster: Running) -> None:
    await prepared(cluster)
    for hour, minute in ((12, 2), (13, 1), (13, 2), (14, 1), (14, 59)):
        await ticked(cluster, hour, minute)
        await ticked(cluster, hour, minute)
        if (job := await pulled(cluster)) is not None:
            await ended(cluster, job)
    assert await hours(cluster) == ["13:00", "14:00"]


async def test_its_job_says_where_it_comes_from(cluster: Running) -> None:
    await prepared(cluster)
    await ticked(cluster, 13)
    job = await pulled(cluster)
    assert job is not None
    reply = json.loads(job.as_json())
    sent = reply["job"]
    names = ("trigger", "trigger_kind", "args", "created_by", "permissioned_as", "scheduled_for")
    assert [sent[name] for name in names] == [
        "u/admin/hourly", "schedule", {"n": 1.5}, "schedule-u-admin-hourly", "u/admin",
        "2030-01-01T13:00:00.000000Z",
    ]  # fmt: skip
    told = await cluster.job(job.job_id)
    assert (told["schedule_path"], told["trigger_kind"]) == ("u/admin/hourly", "schedule")
    assert await jobs(cluster, of="u/admin/other") == []
    environment = reserved_env(reply)
    assert environment["WM_SCHEDULE_PATH"] == "u/admin/hourly"
    assert environment["WM_STATE_PATH"] == "f/shop/rollup/schedule-u-admin-hourly"


async def test_missed_ticks_push_one_job_between_them(cluster: Running, store_place: Path | OnServer) -> None:
    await prepared(cluster)
    await cluster.store.close()
    async with running_cluster(store_place) as restarted:
        await ticked(restarted, 40)
        assert await hours(restarted) == ["13:00"]
        job = await pulled(restarted)
        assert job is not None
        await ticked(restarted, 41)
        assert len(await jobs(restarted)) == 2


async def test_while_its_job_waits_for_a_worker_no_other_is_pushed(cluster: Running) -> None:
    await prepared(cluster)
    for hour in range(13, 20):
        await ticked(cluster, hour)
    assert await hours(cluster) == ["13:00"]
    assert await pulled(cluster) is not None
    await ticked(cluster, 20)
    assert await hours(cluster) == ["13:00", "20:00"]


async def test_a_job_that_runs_is_overlapped_unless_that_is_forbidden(cluster: Running) -> None:
    await prepared(cluster, no_flow_overlap=True)
    await ticked(cluster, 13)
    job = await pulled(cluster)
    assert job is not None
    await ticked(cluster, 14)
    assert await hours(cluster) == ["13:00"]
    await ended(cluster, job)
    await ticked(cluster, 15)
    assert await hours(cluster) == ["13:00", "15:00"]


async def test_nor_are_its_retries_then(cluster: Running) -> None:
    await prepared(cluster, no_flow_overlap=True, retry={"constant": {"attempts": 1, "seconds": 7200}})
    await ticked(cluster, 13)
    job = await pulled(cluster)
    assert job is not None
    await ended(cluster, job, success=False)
    await ticked(cluster, 14)
    assert len(await jobs(cluster)) == 2  # the failed one, and the one that retries it at 15:01
    await ticked(cluster, 15, 2)
    again = await pulled(cluster)
    assert again is not None
    await ended(cluster, again)
    await ticked(cluster, 16)
    assert len(await jobs(cluster)) == 3


async def test_what_is_not_enabled_does_not_tick_and_is_not_made_up_for(cluster: Running) -> None:
    await prepared(cluster, enabled=False)
    await ticked(cluster, 13)
    for enabled in (True, False, True):
        body = {"enabled": enabled}
        assert (await cluster.admin.post(f"{IN}/setenabled/u/admin/hourly", json=body)).status_code == 200
        await ticked(cluster, 13, 30)
    assert await hours(cluster) == []
    await ticked(cluster, 14)
    assert await hours(cluster) == ["14:00"]


async def test_one_that_is_paused_goes_on_by_itself(cluster: Running) -> None:
    await prepared(cluster, paused_until="2030-01-01T14:30:00Z")
    await ticked(cluster, 14, 40)
    assert await hours(cluster) == []
    await ticked(cluster, 15)
    assert await hours(cluster) == ["15:00"]


async def test_a_change_counts_from_now_on(cluster: Running) -> None:
    await prepared(cluster)
    change = {"schedule": "0 30 * * * *", "timezone": "Asia/Kolkata", "args": {"n": 2}, "tag": "slow"}
    assert (await cluster.admin.post(f"{IN}/update/u/admin/hourly", json=change)).text == "u/admin/hourly"
    await ticked(cluster, 13)
    (job,) = await jobs(cluster)
    assert (job["scheduled_for"][11:16], job["tag"]) == ("13:00", "slow")  # half past, there
    assert (await cluster.job(job["id"]))["args"] == {"n": 2}


async def test_what_cannot_be_pushed_says_why_and_the_next_tick_tries_again(cluster: Running) -> None:
    await prepared(cluster, script_path="f/none")
    await ticked(cluster, 13)
    assert "script 'f/none' not found" in (await schedule(cluster))["error"]
    await cluster.admin.post(
        "/api/w/main/scripts/create", json={"path": "f/none", "content": "", "language": "bash"}
    )
    await ticked(cluster, 14)
    assert (await schedule(cluster))["error"] is None
    assert await hours(cluster) == ["14:00"]


async def test_its_failed_job_is_retried_as_it_says(cluster: Running) -> None:
    await prepared(cluster, retry={"constant": {"attempts": 1, "seconds": 5}})
    await ticked(cluster, 13)
    job = await pulled(cluster)
    assert job is not None
    await ended(cluster, job, success=False)
    at(cluster, cluster.clock.wall_s() + 6)
    again = await pulled(cluster)
    assert again is not None
    assert (again.parent_job, again.schedule_path) == (job.job_id, "u/admin/hourly")


async def test_the_timer_needs_no_poll(cluster: Running) -> None:
    await prepared(cluster, schedule="* * * * * *", enabled=False)
    timer = asyncio.create_task(cluster.cluster.schedules.run())
    await cluster.store.read(lambda _: None)
    await cluster.admin.post(f"{IN}/setenabled/u/admin/hourly", json={"enabled": True})
    job = await until(lambda: pulled(cluster))
    assert job.started_at_s - job.scheduled_for_s < 2
    assert await until(lambda: pulled(cluster))
    timer.cancel()


async def test_a_disk_that_refuses_ends_no_schedule(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        await prepared(cluster, schedule="* * * * * *")
        store: Any = cluster.store
        store.may_use = lambda: False  # what its owner sets when the folder is gone
        timer = asyncio.create_task(cluster.cluster.schedules.run())
        await until(lambda: store.failing)
        store.may_use = lambda: True
        await until(lambda: pulled(cluster), within_s=30)
        timer.cancel()


async def test_a_push_of_a_tick_wakes_whoever_waits_for_jobs(cluster: Running) -> None:
    await prepared(cluster)
    await ticked(cluster, 13)
    async with asyncio.timeout(10):
        await cluster.cluster.jobs.wait_for_push(3600)


async def test_a_flow_runs_by_the_clock_and_may_wait_for_days(cluster: Running) -> None:
    step = {"type": "rawscript", "content": "true", "language": "bash", "input_transforms": {}}
    flow = {"path": "f/shop/night", "value": {"modules": [{"id": "a", "value": step}]}, "summary": ""}
    by_night = {"is_flow": True, "script_path": "f/shop/night"}
    await prepared(cluster, **by_night)
    await ticked(cluster, 13)
    assert "flow 'f/shop/night' not found" in (await schedule(cluster))["error"]
    deployed = await cluster.admin.post("/api/w/main/flows/create", json=flow)
    assert deployed.status_code == 201, deployed.text
    await ticked(cluster, 14)
    await ticked(cluster, 15)  # no worker has begun the first one yet
    assert await hours(cluster) == ["14:00"]
    (first,) = await jobs(cluster)
    assert (first["job_kind"], first["script_path"], first["args"]) == ("flow", "f/shop/night", None)
    turn = await cluster.cluster.jobs.pull_for_normal_worker("wk-x-1", ["flow"], 0)
    assert turn is not None
    await ticked(cluster, 16)
    assert await hours(cluster) == ["14:00", "16:00"]
    assert (await schedule(cluster))["is_flow"] is True
    listed = [
        (await cluster.admin.get(f"{IN}/list", params={"is_flow": wanted})).json() for wanted in (True, False)
    ]
    assert [len(found) for found in listed] == [1, 0]
