"""A stock agent parses every 2xx: a unit is `null`, a string is a JSON string (agent-api.md section 2)."""

import pytest

from tests.support.cluster import BASE_URL, Running

ALL = "/api/agent_workers"
JOB_KEYS = {
    "workspace_id", "id", "args", "created_by", "scheduled_for", "started_at", "runnable_path", "kind",
    "permissioned_as", "permissioned_as_email", "tag", "script_lang", "same_worker", "visible_to_owner",
    "timeout", "priority", "runnable_id", "canceled_by", "canceled_reason", "parent_job", "flow_status",
}  # fmt: skip


async def test_a_pulled_script_is_a_preview_that_carries_its_code(cluster: Running) -> None:
    script = {"path": "u/admin/s", "content": "echo hi", "language": "bash", "lock": "", "timeout": 60}
    await cluster.admin.post("/api/w/main/scripts/create", json=script)
    job_id = (await cluster.admin.post("/api/w/main/jobs/run/p/u/admin/s", json={"x": 1.50})).text
    agent = await cluster.agent("bash")
    response = await agent.post(f"{ALL}/pull_job", content=b"null")
    pulled = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (pulled["raw_code"], pulled["raw_lock"], pulled["raw_flow"]) == ("echo hi", "", None)
    assert pulled["token"].startswith("jwt_")
    assert (pulled["parent_runnable_path"], pulled["precomputed_agent_info"]) == (None, None)
    job = pulled["job"]
    assert set(job) > JOB_KEYS
    assert (job["id"], job["workspace_id"], job["kind"], job["runnable_id"]) == (
        job_id,
        "main",
        "preview",
        None,
    )
    assert (job["runnable_path"], job["timeout"], job["args"]) == ("u/admin/s", 60, {"x": 1.5})
    assert (job["permissioned_as"], job["permissioned_as_email"]) == ("u/admin", "admin@orvanta.local")
    assert (job["same_worker"], job["visible_to_owner"]) == (False, True)
    assert (job["delivery"], job["not_after"]) == ("at_least_once", None)
    assert job["scheduled_for"].endswith("Z")


async def test_delivery_and_not_after_travel_with_the_job(cluster: Running) -> None:
    await cluster.preview(delivery="at_most_once", not_after="2099-01-01T02:00:00+02:00")
    pulled = (await (await cluster.agent("bash")).post(f"{ALL}/pull_job", content=b"null")).json()
    assert pulled["job"]["delivery"] == "at_most_once"
    assert pulled["job"]["not_after"] == "2099-01-01T00:00:00.000000Z"


async def test_the_life_of_a_job(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post(f"{ALL}/pull_job", content=b"null")
    steps: list[tuple[str, object, bytes]] = [
        (f"{ALL}/ping_job_status/{job_id}", {"mem_peak": 5, "current_mem": None},
         b'{"canceled_by":null,"canceled_reason":null,"already_completed":false}'),
        (f"/api/w/main/agent_workers/push_logs/{job_id}", "\nhi", b'"ok"'),
        (f"{ALL}/set_job_cancelled/{job_id}", {"canceled_by": "timeout", "reason": "duration > 1"}, b"null"),
        (f"{ALL}/ping_job_status/{job_id}", {"mem_peak": None, "current_mem": None},
         b'{"canceled_by":"timeout","canceled_reason":"duration > 1","already_completed":false}'),
        (f"/api/w/main/agent_workers/send_result/{job_id}",
         {"job": {}, "success": False, "result": {}, "mem_peak": None, "duration": 1, "unknown": [1]},
         b'"recorded"'),
        (f"{ALL}/ping_job_status/{job_id}", {"mem_peak": 1},
         b'{"canceled_by":null,"canceled_reason":null,"already_completed":true}'),
        (f"{ALL}/pull_job", None, b"null"),
    ]  # fmt: skip
    for path, body, answer in steps:
        response = await agent.post(path, json=body)
        assert (response.status_code, response.content) == (200, answer), path
        assert response.headers["content-type"] == "application/json"
    assert (await cluster.job(job_id))["mem_peak"] == 5


async def test_versions_and_environment(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.get(f"{ALL}/get_min_version")).content == b'"1.600.0"'
    assert (await agent.get("/api/w/main/agent_workers/custom_envs")).content == b"[]"
    keep_alive = await cluster.client(None).get("/api/min_keep_alive_version")
    assert keep_alive.json() == {"worker": "1.600.0", "agent": "1.600.0"}
    assert (await cluster.client(None).get("/api/version")).status_code == 200
    assert (await cluster.client(None).get("/api/health/status")).status_code == 200


async def test_settings(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.get(f"{ALL}/get_global_setting/base_url")).json() == BASE_URL
    assert (await agent.get(f"{ALL}/get_global_setting/license_key")).content == b"null"


@pytest.mark.parametrize("key", ["jwt_secret", "oauths", "smtp_settings", "otel", "teams"])
async def test_secret_settings_are_refused(cluster: Running, key: str) -> None:
    response = await (await cluster.agent("bash")).get(f"{ALL}/get_global_setting/{key}")
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/plain")


async def test_the_init_script_goes_to_its_worker_only(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    job_id = (await agent.post(f"{ALL}/queue_init_job", json={"content": "echo init"})).json()
    body = {"job_id": job_id, "recoverable": False}
    other = await cluster.agent("bash", suffix="other-q1w2e")
    assert (await other.post(f"{ALL}/same_worker_job/{job_id}", json=body)).content == b"null"
    held = (await agent.post(f"{ALL}/same_worker_job/{job_id}", json=body)).json()
    assert (held["job"]["workspace_id"], held["job"]["tag"]) == ("admins", "init_script")
    assert (held["raw_code"], held["job"]["same_worker"]) == ("echo init", True)
    sent = await agent.post(
        f"/api/w/admins/agent_workers/send_result/{job_id}", json={"success": True, "result": None}
    )
    assert sent.content == b'"recorded"'
