"""update_ping in, workers/list out (agent-api.md 2.3, 8.4)."""

import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

PING = "/api/agent_workers/update_ping"
INITIAL = {
    "ping_type": "Initial", "worker_instance": "till7", "ip": "1.2.3.4", "version": "v1.600.0",
    "tags": ["made-up"], "dw": None, "dws": None, "vcpus": 400000, "memory": 8589934592,
    "memory_usage": None, "wm_memory_usage": None, "jobs_executed": None, "occupancy_rate": None,
    "job_isolation": "none", "native_mode": False,
}  # fmt: skip


async def test_a_worker(cluster: Running) -> None:
    agent = await cluster.agent("bash", "pos-north")
    assert (await agent.post(PING, json=INITIAL)).content == b"null"
    loop = {"ping_type": "MainLoop", "jobs_executed": 12, "occupancy_rate": 0.1, "vcpus": None}
    assert (await agent.post(PING, json=loop)).content == b"null"
    cluster.clock.ahead_s = 30
    (row,) = (await cluster.admin.get("/api/workers/list")).json()
    assert (row["worker"], row["worker_group"], row["worker_instance"]) == (
        "ag-pos-till-a1b2c",
        "pos",
        "till7",
    )
    assert row["custom_tags"] == ["bash", "pos-north"]  # the token's, not the ping's
    assert (row["jobs_executed"], row["vcpus"], row["occupancy_rate"]) == (12, 400000, 0.1)
    assert row["last_ping"] == 30
    assert row["wm_version"] == "v1.600.0"


async def test_the_silent_are_left_out(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    await agent.post(PING, json=INITIAL)
    cluster.clock.ahead_s = 301
    assert (await cluster.admin.get("/api/workers/list")).json() == []
    assert len((await cluster.admin.get("/api/workers/list", params={"ping_since": 600})).json()) == 1


async def test_a_first_ping_must_say_who_it_is(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.post(PING, json={"ping_type": "Initial"})).status_code == 400
