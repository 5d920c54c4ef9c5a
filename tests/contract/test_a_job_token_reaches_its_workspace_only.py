"""What a running job may do with its token; an init script's reaches its own job alone."""

from tests.support.cluster import Running


async def test_its_workspace(cluster: Running) -> None:
    await cluster.preview()
    pulled = await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    assert pulled is not None
    job = cluster.client(pulled.token)
    assert (await job.get("/api/users/whoami")).json()["super_admin"] is False
    assert (await job.get(f"/api/w/main/jobs_u/get/{pulled.job_id}")).status_code == 200
    body = {"content": "true", "language": "bash"}
    assert (await job.post("/api/w/main/jobs/run/preview", json=body)).status_code == 201
    assert [space["id"] for space in (await job.get("/api/workspaces/list")).json()] == ["main"]
    for refused in (
        await job.get("/api/w/admins/jobs/list"),
        await job.post("/api/users/tokens/create", json={}),
        await job.post("/api/workspaces/create", json={"id": "x", "name": "x"}),
        await job.get("/api/workers/list"),
    ):
        assert refused.status_code == 403


async def test_an_init_script_reaches_its_own_job_alone(cluster: Running) -> None:
    job_id = await cluster.cluster.jobs.push_init("ag-x-1", "true")
    held = await cluster.cluster.jobs.held(job_id, "ag-x-1")
    assert held is not None
    job = cluster.client(held.token)
    assert (await job.get(f"/api/w/admins/jobs_u/get/{job_id}")).status_code == 200
    body = {"content": "true", "language": "bash"}
    assert (await job.post("/api/w/admins/jobs/run/preview", json=body)).status_code == 403
    assert (await job.get("/api/w/admins/jobs/list")).status_code == 403


async def test_it_ends(cluster: Running) -> None:
    await cluster.preview()
    pulled = await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    assert pulled is not None
    cluster.clock.ahead_s = 8 * 24 * 3600
    assert (await cluster.client(pulled.token).get("/api/users/whoami")).status_code == 401
