"""jobs/list and its kin (agent-api.md 8.2)."""

import pytest

from bridge.jobs.model import Completion
from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

JOBS = "/api/w/main/jobs"


async def ids(cluster: Running, path: str, **params: object) -> list[str]:
    response = await cluster.admin.get(
        f"{JOBS}/{path}", params={key: str(value) for key, value in params.items()}
    )
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()]


async def test_filters(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    good = await cluster.preview(tag="a", path="f/one")
    bad = await cluster.preview(tag="a")
    running = await cluster.preview(tag="b")
    waiting = await cluster.preview(tag="c", scheduled_in_secs=60)
    for tag in ("a", "a", "b"):
        await jobs.pull("ag-x-1", [tag])
    await jobs.complete("main", good, Completion(success=True, result=b"1"))
    await jobs.complete("main", bad, Completion(success=False, result=b'"no"'))
    assert await ids(cluster, "list") == [waiting, running, bad, good]
    assert await ids(cluster, "list", running="true") == [running]
    assert await ids(cluster, "list", running="false") == [waiting]
    assert await ids(cluster, "list", success="true") == [good]
    assert await ids(cluster, "list", success="false") == [bad]
    assert await ids(cluster, "list", tag="a") == [bad, good]
    assert await ids(cluster, "list", script_path_exact="f/one") == [good]
    assert await ids(cluster, "list", created_by="admin", per_page=2, page=2) == [bad, good]
    assert await ids(cluster, "list", created_by="nobody") == []
    assert await ids(cluster, "queue/list") == [waiting, running]
    assert await ids(cluster, "completed/list") == [bad, good]


async def test_the_count_is_of_due_jobs_that_wait(cluster: Running) -> None:
    await cluster.preview()
    await cluster.preview()
    await cluster.preview(scheduled_in_secs=60)
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    response = await cluster.admin.get(f"{JOBS}/queue/count")
    assert response.content == b'{"database_length":1,"suspended":0}'


async def test_a_workspace_shows_its_own_jobs_only(cluster: Running) -> None:
    job_id = await cluster.preview()
    created = await cluster.admin.post("/api/workspaces/create", json={"id": "shop", "name": "Shop"})
    assert created.status_code == 201
    assert (await cluster.admin.get("/api/w/shop/jobs/list")).json() == []
    assert (await cluster.admin.get(f"/api/w/shop/jobs_u/get/{job_id}")).status_code == 404
    again = await cluster.admin.post("/api/workspaces/create", json={"id": "shop", "name": "Shop"})
    assert again.status_code == 400
    listed = (await cluster.admin.get("/api/workspaces/list")).json()
    assert [workspace["id"] for workspace in listed] == ["admins", "main", "shop"]


async def test_get_leaves_out_what_is_not_wanted(cluster: Running) -> None:
    job_id = await cluster.preview("echo code")
    await cluster.cluster.jobs.append_log("main", job_id, "text")
    full = await cluster.job(job_id)
    assert (full["type"], full["raw_code"], full["logs"]) == ("QueuedJob", "echo code", "text")
    lean = await cluster.admin.get(
        f"/api/w/main/jobs_u/get/{job_id}", params={"no_logs": "true", "no_code": "true"}
    )
    assert (lean.json()["raw_code"], lean.json()["logs"]) == (None, None)
