"""Cancelled before it runs: it ends at once (I7). Running: its worker is told."""

from tests.support.cluster import Running

CANCEL = "/api/w/main/jobs_u/queue"


async def test_before_it_runs(cluster: Running) -> None:
    job_id = await cluster.preview()
    response = await cluster.admin.post(f"{CANCEL}/cancel/{job_id}", json={"reason": "not needed"})
    assert (response.status_code, response.text) == (200, job_id)
    assert response.headers["content-type"].startswith("text/plain")
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"]) is None
    job = await cluster.job(job_id)
    assert (job["type"], job["success"], job["canceled"]) == ("CompletedJob", False, True)
    assert (job["canceled_by"], job["canceled_reason"]) == ("admin", "not needed")
    assert job["result"] == {
        "error": {
            "message": "Job canceled: not needed by admin",
            "name": "Canceled",
            "reason": "not needed",
            "canceler": "admin",
        }
    }


async def test_before_its_time(cluster: Running) -> None:
    job_id = await cluster.preview(scheduled_in_secs=60)
    assert (await cluster.admin.post(f"{CANCEL}/cancel/{job_id}")).status_code == 200
    cluster.clock.ahead_s = 61
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"]) is None


async def test_while_it_runs_only_its_worker_is_told(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    await jobs.pull("ag-x-1", ["bash"])
    await cluster.admin.post(f"{CANCEL}/cancel/{job_id}", json={"reason": "stop"})
    reply = await jobs.ping(job_id, "ag-x-1", None)
    assert (reply.canceled_by, reply.canceled_reason, reply.already_completed) == ("admin", "stop", False)
    job = await cluster.job(job_id)
    assert (job["type"], job["canceled"]) == ("QueuedJob", True)


async def test_by_force_it_ends_whatever_the_worker_does(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    await jobs.pull("ag-x-1", ["bash"])
    assert (await cluster.admin.post(f"{CANCEL}/force_cancel/{job_id}", json={})).status_code == 200
    assert (await jobs.ping(job_id, "ag-x-1", None)).already_completed
    assert (await cluster.job(job_id))["canceled"] is True


async def test_what_is_completed_cannot_be_cancelled(cluster: Running) -> None:
    job_id = await cluster.preview()
    await cluster.admin.post(f"{CANCEL}/cancel/{job_id}", json={})
    again = await cluster.admin.post(f"{CANCEL}/cancel/{job_id}", json={})
    assert (again.status_code, "completed already" in again.text) == (404, True)


async def test_a_cancelled_job_of_a_lost_worker_is_not_started_again(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    job_id = await cluster.preview()
    await jobs.pull("ag-x-1", ["bash"])
    await cluster.admin.post(f"{CANCEL}/cancel/{job_id}", json={})
    cluster.clock.ahead_s = 61
    assert await jobs.sweep_zombies(60) == 1
    assert await jobs.pull("ag-x-2", ["bash"]) is None
    assert (await cluster.job(job_id))["canceled"] is True
