"""One suite on both sources: what the relay needs of a cluster holds in this process and behind HTTP."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.logs import Secret
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery, Result
from bridge.errors import ClusterDown, TokenRefused
from bridge.relay.ledger import Custody
from bridge.relay.policy import Replace
from bridge.relay.sources.http import HTTPSource
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Pulled, Source
from tests.support.cluster import Running, served

TAGS = ("bash", "pos-a")
LANE = frozenset(map(Tag, TAGS))


async def token(cluster: Running, *tags: str) -> Secret:
    body = {"worker_group": "relay", "tags": list(tags), "exp": int(time.time()) + 3600}
    return Secret((await cluster.admin.post("/api/agent_workers/create_agent_token", json=body)).json())


@asynccontextmanager
async def in_process(cluster: Running) -> AsyncIterator[Source]:
    yield LocalSource(cluster.cluster.jobs)


@asynccontextmanager
async def over_http(cluster: Running) -> AsyncIterator[Source]:
    async with served(cluster.app) as url:
        source = HTTPSource(url, await token(cluster, *TAGS), "till-a1b2c")
        try:
            yield source
        finally:
            await source.close()


@pytest.fixture(params=[in_process, over_http])
async def source(request: pytest.FixtureRequest, cluster: Running) -> AsyncIterator[Source]:
    async with request.param(cluster) as opened:
        yield opened


async def pulled(source: Source) -> Pulled:
    job = await source.pull(LANE)
    assert job is not None
    return job


def custody_of(job: Pulled) -> Custody:
    return Custody(
        job_id=job.job_id, attempt=Attempt(1), workspace=job.workspace, tag=job.tag, token=job.token,
        job_json=job.job_json, state="accepted", custodian=None,
        started_at=None, cancel_sent=None,
    )  # fmt: skip


def ended(job: Pulled, document: bytes, *, success: bool = True, by: str | None = None) -> Result:
    return Result(
        job_id=job.job_id, attempt=Attempt(1), workspace=job.workspace, success=success, document=document,
        duration_ms=1234, mem_peak_kb=56, canceled_by=by, canceled_reason="not wanted" if by else None,
    )  # fmt: skip


async def finish(source: Source, job: Pulled, result: Result) -> None:
    await source.send_result(custody_of(job), result, result.document)


async def result_of(cluster: Running, job_id: str) -> str:
    return (await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")).text


async def test_a_pull_hands_out_all_that_a_worker_needs(source: Source, cluster: Running) -> None:
    job_id = await cluster.preview("echo hi", args={"n": 1, "who": "süd"}, tag="bash", timeout=60, priority=5)
    job = await pulled(source)
    assert (job.job_id, job.workspace, job.tag) == (job_id, "main", "bash")
    assert (job.language, job.code, json.loads(job.args)) == ("bash", "echo hi", {"n": 1, "who": "süd"})
    assert (job.timeout_s, job.priority, job.delivery) == (60, 5, Delivery.AT_LEAST_ONCE)
    assert job.created_by == "admin"
    assert job.token
    assert job.env["WM_EMAIL"] == "admin@orvanta.local"
    assert (await cluster.job(job_id))["running"]


async def test_a_job_is_handed_out_once(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    await pulled(source)
    assert await source.pull(LANE) is None


async def test_only_jobs_of_its_tags_are_handed_out(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="elsewhere")
    assert await source.pull(LANE) is None


async def test_a_dynamic_tag_is_resolved(source: Source, cluster: Running) -> None:
    await cluster.preview(args={"site": "a"}, tag="pos-$args[site]")
    assert (await pulled(source)).tag == "pos-a"


async def test_at_most_once_travels_with_the_job(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash", delivery="at_most_once")
    job = await pulled(source)
    assert job.delivery is Delivery.AT_MOST_ONCE
    assert json.loads(job.job_json)["delivery"] == "at_most_once"


async def test_the_rules_of_its_custody_travel_with_the_job(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash", lost_after=3600, replace="never", not_after="2100-01-01T00:00:00Z")
    job = await pulled(source)
    assert (job.lost_after_s, job.replace, job.not_after) == (3600, Replace.NEVER, 4102444800.0)


async def test_a_job_that_asks_for_no_rule_leaves_it_to_its_tag(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    assert (job.lost_after_s, job.replace, job.not_after) == (None, None, None)


async def test_only_served_lanes_are_pulled(source: Source) -> None:
    assert not source.lanes(frozenset())
    lanes = source.lanes(frozenset({Tag("bash")}))
    assert [lane for lane in lanes if "bash" in lane] == list(lanes) != []


async def test_a_result_is_recorded_as_it_is(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await finish(source, job, ended(job, b'{"n":1.50,"text":"s\xc3\xbcd"}'))
    record = await cluster.job(job.job_id)
    assert record["success"]
    assert (record["duration_ms"], record["mem_peak"]) == (1234, 56)
    assert record["result"] == {"n": 1.5, "text": "süd"}


async def test_the_first_result_stays_and_a_second_is_no_error(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await finish(source, job, ended(job, b"1"))
    await finish(source, job, ended(job, b"2"))  # I1: redelivered after a lost acknowledgement
    assert await result_of(cluster, job.job_id) == "1"


async def test_a_failure_carries_its_error_object(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await finish(source, job, ended(job, b'{"name":"ValueError","message":"no"}', success=False))
    assert not (await cluster.job(job.job_id))["success"]
    assert json.loads(await result_of(cluster, job.job_id)) == {
        "error": {"name": "ValueError", "message": "no"}
    }


async def test_a_time_limit_is_a_failure_and_no_cancel(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await finish(
        source, job, ended(job, b'{"name":"Timeout","message":"too long"}', success=False, by="timeout")
    )
    record = await cluster.job(job.job_id)
    assert not record["success"]
    assert not record["canceled"]


async def test_a_ping_keeps_custody_and_says_nothing_new(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    reply = await source.ping(custody_of(job))
    assert (reply.canceled_by, reply.already_completed) == (None, False)


async def test_a_ping_tells_of_a_cancel(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job.job_id}", json={"reason": "not wanted"})
    reply = await source.ping(custody_of(job))
    assert (reply.canceled_by, reply.canceled_reason) == ("admin", "not wanted")
    await finish(source, job, ended(job, b'{"name":"Canceled","message":"x"}', success=False, by="admin"))
    record = await cluster.job(job.job_id)
    assert (record["canceled"], record["canceled_by"]) == (True, "admin")


async def test_a_ping_tells_of_a_job_that_was_ended_elsewhere(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await cluster.admin.post(f"/api/w/main/jobs_u/queue/force_cancel/{job.job_id}", json={})
    assert (await source.ping(custody_of(job))).already_completed


async def test_log_text_is_appended_in_order(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await source.push_log(custody_of(job), "a/1", 0, "one\n", missing=0)
    await source.push_log(custody_of(job), "a/1", 4, "zwei: süd\n", missing=0)
    logs = await cluster.admin.get(f"/api/w/main/jobs_u/get_logs/{job.job_id}")
    assert logs.text.endswith("one\nzwei: süd\n")


async def test_a_gap_in_log_text_is_marked_and_costs_nothing_after_it(
    source: Source, cluster: Running
) -> None:
    await cluster.preview(tag="bash")
    job = await pulled(source)
    await source.push_log(custody_of(job), "a/1", 0, "one\n", missing=0)
    await source.push_log(custody_of(job), "a/1", 10, "three\n", missing=6)
    await source.push_log(custody_of(job), "a/1", 16, "four\n", missing=0)
    logs = await cluster.admin.get(f"/api/w/main/jobs_u/get_logs/{job.job_id}")
    gap = "\n[... 6 characters dropped: lost on the way ...]\n"
    assert logs.text.endswith(f"one\n{gap}three\nfour\n")


async def test_a_job_that_the_cluster_does_not_know_changes_nothing(source: Source, cluster: Running) -> None:
    await cluster.preview(tag="bash")
    known = await pulled(source)
    stray = Result(
        job_id=JobId("00000000-0000-0000-0000-000000000000"),
        attempt=Attempt(1),
        workspace="main",
        success=True,
    )
    try:
        await source.send_result(custody_of(known), stray, b"1")
    except ClusterDown:
        pytest.fail("the relay would offer this result for ever")


async def test_a_cluster_that_is_away_is_down_and_not_an_error_of_another_kind(cluster: Running) -> None:
    async with served(cluster.app) as url:
        source = HTTPSource(url, await token(cluster, *TAGS), "till-a1b2c")
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    await source.close()


async def test_a_token_that_the_cluster_refuses_is_said_to_be_refused(cluster: Running) -> None:
    forged = Secret((await token(cluster, *TAGS)).reveal()[:-4] + "AAAA")
    async with served(cluster.app) as url:
        source = HTTPSource(url, forged, "till-a1b2c")
        with pytest.raises(TokenRefused, match="AGENT_TOKEN"):
            await source.pull(LANE)
        await source.close()


async def test_what_ran_and_failed_is_retried(source: Source, cluster: Running) -> None:
    once = json.dumps({"constant": {"attempts": 1, "seconds": 0}})
    job_id = await cluster.preview(tag="bash", retry=once)
    job = await pulled(source)
    await finish(source, job, replace(ended(job, b'{"name":"E"}', success=False), started_at=1.0))
    retried = await pulled(source)
    assert retried.job_id != job_id
    assert (await cluster.job(retried.job_id))["parent_job"] == job_id


async def test_what_no_site_ran_or_its_tag_wants_once_is_not_retried(cluster: Running) -> None:
    source = LocalSource(cluster.cluster.jobs)
    once = json.dumps({"constant": {"attempts": 1, "seconds": 0}})
    await cluster.preview(tag="bash", retry=once)
    unrun = await pulled(source)
    await finish(source, unrun, ended(unrun, b'{"name":"CustodianLost"}', success=False))
    await cluster.preview(tag="bash", retry=once)
    job = await pulled(source)
    known = json.loads(job.job_json) | {
        "delivery": Delivery.AT_MOST_ONCE
    }  # as the dispatcher notes the policy
    failed = replace(ended(job, b'{"name":"E"}', success=False), started_at=1.0)
    await finish(source, replace(job, job_json=json.dumps(known)), failed)
    assert await source.pull(LANE) is None
