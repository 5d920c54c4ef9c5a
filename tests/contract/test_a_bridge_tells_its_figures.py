"""GET /metrics: what a bridge and its store say of the whole cluster, to whoever may look."""

import json
from collections.abc import Mapping

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.agents.broker_auth import BrokerAuth
from bridge.config import read
from bridge.metrics.census import FRESH_S
from bridge.relay.letters import DeadLetters, Letter, LetterKind
from bridge.store.leading import Alone
from bridge.store.statements import Statement
from bridge.web.asgi import build
from bridge.wiring.watching import watching_of
from tests.support.cluster import Running, client_of
from tests.support.fleet import site

TOKEN = "a-token-for-prometheus"
OUT = Statement(
    "INSERT INTO ledger (job_id, attempt, workspace, tag, state, taken_at)"
    " VALUES (:job_id, 1, 'main', 'bash', :state, :at)",
    "INSERT INTO ledger (job_id, attempt, workspace, tag, state, taken_at)"
    " VALUES (%(job_id)s, 1, 'main', 'bash', %(state)s, %(at)s)",
)
Figures = Mapping[tuple[str, str], float]


def looking(cluster: Running, bearer: str | None = TOKEN, **env: str) -> httpx.AsyncClient:
    settings = read({"METRICS_TOKEN": TOKEN, **env}, relay_only=False)
    watching = watching_of(settings, cluster.store, cluster.clock, Alone(), None, cluster=cluster.cluster)
    return client_of(build([*cluster.cluster.routes, *watching.routes]), bearer)


async def figures_of(client: httpx.AsyncClient) -> Figures:
    """By name and labels."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_they_are_for_whoever_may_look(cluster: Running) -> None:
    for bearer, status in ((None, 401), ("wrong", 401), (TOKEN, 200)):
        assert (await looking(cluster, bearer).get("/metrics")).status_code == status
    admin = cluster.admin.headers["authorization"].removeprefix("Bearer ")
    assert (await looking(cluster, admin).get("/metrics")).status_code == 200
    closed = looking(cluster, None, METRICS_TOKEN="")
    assert (await closed.get("/metrics")).status_code == 401


@pytest.mark.on_both_stores
async def test_they_count_what_is_out_and_what_waits(cluster: Running) -> None:
    now = cluster.clock.wall_s()
    out = [
        {"job_id": f"{state}-{number}", "state": state, "at": now - 100 * (number + 1)}
        for state, jobs in (("published", 2), ("accepted", 3), ("closed", 4))
        for number in range(jobs)
    ]
    await cluster.store.write(lambda db: db.executemany(OUT, out))
    await cluster.preview(tag="bash")
    figures = await figures_of(looking(cluster))
    assert [figures["orvanta_custody_jobs", state] for state in ("taken", "published", "accepted")] == [
        0,
        2,
        3,
    ]
    assert figures["orvanta_custody_oldest_seconds", "accepted"] == pytest.approx(300, abs=30)
    assert figures["orvanta_custody_oldest_seconds", "taken"] == 0
    assert figures["orvanta_ledger_rows", ""] == 9
    assert figures["orvanta_queue_jobs", "ready"] == 1
    assert figures["orvanta_store_up", ""] == 1
    assert figures["orvanta_bridge_leads", ""] == 1


async def test_they_say_how_the_sites_stand_without_their_names(cluster: Running) -> None:
    suva, nadi = await site(cluster, "suva"), await site(cluster, "nadi")
    await nadi.ping(held=1, next_s=1.0)
    cluster.clock.ahead_s += 4000.0
    await suva.ping(
        held=41, running=2, backlog=7, backlog_age_s=7200.0, spool_bytes=95, spool_most_bytes=100, next_s=1e6
    )
    client = looking(cluster)
    figures = await figures_of(client)
    assert figures["orvanta_agents", "broker,up"] == figures["orvanta_agents", "broker,down"] == 1
    silent = [figures["orvanta_agents_silent", seconds] for seconds in ("300", "3600", "86400")]
    assert silent == [1, 1, 0]
    assert figures["orvanta_agents_held_jobs", ""] == 42
    assert figures["orvanta_agents_backlog_results", ""] == 7
    assert figures["orvanta_agents_backlog_oldest_seconds", ""] == pytest.approx(7200, abs=30)
    assert figures["orvanta_agents_spool_fullest_ratio", ""] == pytest.approx(0.95)
    assert figures["orvanta_agents_spool_nearly_full", ""] == 1
    assert figures["orvanta_normal_worker_missing", "flow"] == 1
    text = (await client.get("/metrics")).text
    assert "suva" not in text
    each = await figures_of(looking(cluster, METRICS_PER_WORKER="1"))
    assert each["orvanta_agent_up", f"shops,{suva.worker}"] == 1
    assert each["orvanta_agent_silent_seconds", f"shops,{nadi.worker}"] == pytest.approx(4000, abs=30)


async def test_many_who_look_cost_the_store_no_more_than_one(cluster: Running) -> None:
    client = looking(cluster)
    ready = ("orvanta_queue_jobs", "ready")
    assert (await figures_of(client))[ready] == 0
    await cluster.preview(tag="bash")
    assert (await figures_of(client))[ready] == 0  # as it was counted
    cluster.clock.ahead_s += FRESH_S + 1
    assert (await figures_of(client))[ready] == 1


async def test_they_count_what_this_bridge_did(cluster: Running) -> None:
    client = looking(cluster)
    before = await figures_of(client)
    await cluster.client("nobody").get("/api/w/main/jobs/list")
    devices, seen = cluster.cluster.devices, cluster.cluster.tokens.seen
    broker = client_of(build(BrokerAuth(devices.verify, seen, "/").routes()), None)
    form = {"username": "ag-pos-suva.abc", "password": "jwt_agent_of_nobody"}
    assert (await broker.post("/api/broker_auth/user", data=form)).text == "deny"
    letters = DeadLetters(cluster.store, cluster.clock)
    await letters.keep(
        Letter(
            kind=LetterKind.POISON, worker=WorkerName("ag-a-b"), job_id=JobId("x"), attempt=Attempt(1),
            reason="killed its host", body=b"",
        )
    )  # fmt: skip
    job_id, agent = await cluster.preview(tag="bash"), await cluster.agent("bash")
    pulled = (await agent.post("/api/agent_workers/pull_job", content=b"false")).json()
    assert pulled["job"]["id"] == job_id
    sent = {"success": True, "result": {"a": 1}, "duration": 5, "mem_peak": 1, "canceled_by": None}
    done = await agent.post(f"/api/w/main/agent_workers/send_result/{job_id}", content=json.dumps(sent))
    assert done.status_code == 200, done.text
    cluster.clock.ahead_s += FRESH_S + 1
    after = await figures_of(client)

    def more(name: str, labels: str) -> float:
        return after[name, labels] - before[name, labels]

    assert more("orvanta_auth_refusals_total", "api,unproved") == 1
    assert more("orvanta_auth_refusals_total", "broker,login") == 1
    assert more("orvanta_dead_letters_kept_total", "poison") == 1
    assert after["orvanta_dead_letters", "poison"] == 1
    assert more("orvanta_jobs_completed_total", "success") == 1
