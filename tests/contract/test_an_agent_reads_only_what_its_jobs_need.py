"""Settings are refused unless they are for agents; code comes by hash to the worker that runs it."""

import pytest

from agent.wire.agent_api import script_number
from tests.support.cluster import Running

ALL = "/api/agent_workers"
IN = "/api/w/main/agent_workers"


@pytest.mark.parametrize(
    "key",
    ["jwt_secret", "vault_key", "object_store_config", "a_setting_of_tomorrow", "BASE_URL", "base_url "],
)
async def test_a_setting_that_nobody_allowed_is_refused(cluster: Running, key: str) -> None:
    refused = await (await cluster.agent("bash")).get(f"{ALL}/get_global_setting/{key}")
    assert (refused.status_code, refused.headers["content-type"]) == (403, "text/plain; charset=utf-8")


async def test_a_script_by_its_hash_as_a_number(cluster: Running) -> None:
    schema = {"type": "object"}
    agent = await cluster.agent("bash")
    for number in range(4):  # some of the hashes are negative as a signed number
        script = {"path": f"u/admin/s{number}", "content": "echo hi", "language": "bash", "schema": schema}
        made = (await cluster.admin.post("/api/w/main/scripts/create", json=script)).text
        signed = script_number(made)
        assert (await agent.get(f"{ALL}/script/{signed}")).status_code == 404  # it runs no job of it
        await cluster.admin.post(f"/api/w/main/jobs/run/h/{made}", json={})
        await agent.post(f"{ALL}/pull_job", json=None)
        assert (await agent.get(f"{ALL}/script/{signed}")).json() == {
            "content": "echo hi",
            "lock": "",
            "meta": {
                "language": "bash", "envs": None, "codebase": None, "schema": schema,
                "schema_validator": None,
            },
        }  # fmt: skip
        stranger = await cluster.agent("bash", suffix="other-q1w2e")
        assert (await stranger.get(f"{ALL}/script/{signed}")).status_code == 404


@pytest.mark.parametrize("number", ["x", "1.5", "9223372036854775808", "9" * 5000])
async def test_what_is_no_hash_is_refused(cluster: Running, number: str) -> None:
    assert (await (await cluster.agent("bash")).get(f"{ALL}/script/{number}")).status_code == 400


async def test_a_periodic_script_goes_to_its_worker_only(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    queued = await agent.post(f"{ALL}/queue_periodic_job", json={"content": "echo again"})
    job_id = queued.json()
    body = {"job_id": job_id, "recoverable": False}
    other = await cluster.agent("bash", suffix="other-q1w2e")
    assert (await other.post(f"{ALL}/same_worker_job/{job_id}", json=body)).content == b"null"
    held = (await agent.post(f"{ALL}/same_worker_job/{job_id}", json=body)).json()
    assert (held["job"]["workspace_id"], held["job"]["tag"]) == ("admins", "periodic_bash_script")
    assert held["job"]["runnable_path"].startswith("periodic_script_ag-pos-till-a1b2c_")
    assert held["raw_code"] == "echo again"
    job = cluster.client(held["token"])  # no superadmin's, and for its own job alone
    assert (await job.get("/api/w/admins/variables/list")).status_code == 403


async def test_the_oldest_agents_read_a_version_too(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.get("/api/settings/min_keep_alive_version")).content == b'"1.600.0"'


async def test_who_serves_what_and_what_waits(cluster: Running) -> None:
    await cluster.preview()
    await cluster.preview()
    agent = await cluster.agent("bash")
    loop = {"ping_type": "MainLoop"}
    await agent.post(f"{ALL}/update_ping", json=loop)
    await agent.post(f"{ALL}/pull_job", json=None)
    edge = (
        "INSERT INTO enrolled_agent (worker, worker_group, tags, enrolled_at, last_heard) "
        "VALUES ('ag-edge-1', 'edge', '[\"pos-suva\"]', 1, ?)"
    )
    heard_s = cluster.clock.wall_s()
    await cluster.store.write(lambda connection: connection.execute(edge, (heard_s,)))
    asked = {"tags": "bash,pos-suva,none"}
    served = await cluster.admin.get("/api/workers/exists_workers_with_tags", params=asked)
    assert served.json() == {"bash": True, "pos-suva": True, "none": False}
    assert (await cluster.admin.get("/api/workers/queue_counts")).json() == {"bash": 1}
    assert (await cluster.admin.get("/api/workers/queue_running_counts")).json() == {"bash": 1}
    listed = (await cluster.admin.get("/api/workers/list")).json()
    assert [(one["worker"], one["custom_tags"]) for one in listed] == [
        ("ag-edge-1", ["pos-suva"]),
        ("ag-pos-till-a1b2c", ["bash"]),
    ]
    assert {type(listed[0][key]) for key in ("last_ping", "jobs_executed")} == {int}
    assert (await cluster.admin.get("/api/workers/get_default_tags")).json() == ["bash", "python3"]
    assert (await agent.get("/api/workers/queue_counts")).status_code == 401
