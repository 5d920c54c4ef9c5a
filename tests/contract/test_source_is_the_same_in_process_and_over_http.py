"""One suite on every source: what the relay needs of a cluster holds in this process, behind HTTP, and at a
cluster that is not ours.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery, Result
from bridge.errors import ClusterDown, TokenRefused
from bridge.relay.policy import Replace
from bridge.relay.sources.source import Pulled
from tests.support.cluster import served
from tests.support.clusters import (
    TAGS,
    Embedded,
    Here,
    custody_of,
    ended,
    foreign_over_http,
    minted,
    ours_in_process,
    ours_over_http,
    over_http,
)
from tests.support.fake_cluster.server import fake_cluster

LANE = frozenset(map(Tag, TAGS))
NOBODYS = JobId("00000000-0000-0000-0000-000000000000")
OURS = [ours_in_process, ours_over_http]
RETRY_ONCE = json.dumps({"constant": {"attempts": 1, "seconds": 0}})


@pytest.fixture(params=[*OURS, foreign_over_http])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Here]:
    async with request.param(tmp_path) as opened:
        yield opened


@pytest.fixture(params=OURS)
async def ours(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Here]:
    """Where a job may say what only our cluster knows."""
    async with request.param(tmp_path) as opened:
        yield opened


async def pushed(here: Here, **body: Any) -> str:
    assert isinstance(here.cluster, Embedded)
    return await here.cluster.push(**body)


async def pulled(here: Here) -> Pulled:
    job = await here.source.pull(LANE)
    assert job is not None
    return job


async def new_job(here: Here) -> Pulled:
    await here.cluster.push()
    return await pulled(here)


async def finish(here: Here, job: Pulled, result: Result) -> None:
    await here.source.send_result(custody_of(job), result, result.document)


async def test_a_pull_hands_out_all_that_a_worker_needs(here: Here) -> None:
    job_id = await here.cluster.push(args={"n": 1, "who": "süd"}, timeout=60, priority=5)
    job = await pulled(here)
    assert (job.job_id, job.workspace, job.tag) == (job_id, "main", "bash")
    assert (job.language, job.code, json.loads(job.args)) == ("bash", "echo hi", {"n": 1, "who": "süd"})
    assert (job.timeout_s, job.priority, job.delivery) == (60, 5, Delivery.AT_LEAST_ONCE)
    assert job.created_by == "admin"
    assert job.token
    assert job.env["WM_EMAIL"] == "admin@orvanta.local"
    assert (await here.cluster.record(job_id)).running


async def test_a_workspaces_environment_comes_with_its_jobs(here: Here) -> None:
    await here.cluster.set_env("SHOP", "Süd")
    assert (await new_job(here)).env["SHOP"] == "Süd"


async def test_a_job_is_handed_out_once(here: Here) -> None:
    await new_job(here)
    assert await here.source.pull(LANE) is None


async def test_only_jobs_of_its_tags_are_handed_out(here: Here) -> None:
    await here.cluster.push(tag="elsewhere")
    assert await here.source.pull(LANE) is None


async def test_a_dynamic_tag_is_resolved(ours: Here) -> None:
    await pushed(ours, args={"site": "a"}, tag="pos-$args[site]")
    assert (await pulled(ours)).tag == "pos-a"


async def test_at_most_once_travels_with_the_job(ours: Here) -> None:
    await pushed(ours, delivery="at_most_once")
    job = await pulled(ours)
    assert job.delivery is Delivery.AT_MOST_ONCE
    assert json.loads(job.job_json)["delivery"] == "at_most_once"


async def test_the_rules_of_its_custody_travel_with_the_job(ours: Here) -> None:
    await pushed(ours, lost_after=3600, replace="never", not_after="2100-01-01T00:00:00Z")
    job = await pulled(ours)
    assert (job.lost_after_s, job.replace, job.not_after) == (3600, Replace.NEVER, 4102444800.0)


async def test_a_job_that_asks_for_no_rule_leaves_it_to_its_tag(here: Here) -> None:
    job = await new_job(here)
    assert (job.lost_after_s, job.replace, job.not_after) == (None, None, None)


async def test_only_served_lanes_are_pulled(here: Here) -> None:
    assert not here.source.lanes(frozenset())
    lanes = here.source.lanes(frozenset({Tag("bash")}))
    assert [lane for lane in lanes if "bash" in lane] == list(lanes) != []


async def test_a_result_is_recorded_as_it_is(here: Here) -> None:
    job = await new_job(here)
    await finish(here, job, ended(job, b'{"n":1.50,"text":"s\xc3\xbcd"}'))
    record = await here.cluster.record(job.job_id)
    assert record.success
    assert (record.duration_ms, record.mem_peak_kb) == (1234, 56)
    assert record.result == {"n": 1.5, "text": "süd"}


async def test_the_end_of_a_job_that_nobody_ran_is_recorded_too(here: Here) -> None:
    job = await new_job(here)
    unrun = replace(ended(job, b'{"name":"Expired"}', success=False), mem_peak_kb=None, duration_ms=0)
    await finish(here, job, unrun)
    record = await here.cluster.record(job.job_id)
    assert (record.success, record.result) == (False, {"error": {"name": "Expired"}})


async def test_the_first_result_stays_and_a_second_is_no_error(here: Here) -> None:
    job = await new_job(here)
    await finish(here, job, ended(job, b"1"))
    await finish(here, job, ended(job, b"2"))  # I1: redelivered after a lost acknowledgement
    assert (await here.cluster.record(job.job_id)).result == 1


async def test_a_failure_carries_its_error_object(here: Here) -> None:
    job = await new_job(here)
    await finish(here, job, ended(job, b'{"name":"ValueError","message":"no"}', success=False))
    record = await here.cluster.record(job.job_id)
    assert (record.success, record.result) == (False, {"error": {"name": "ValueError", "message": "no"}})


async def test_a_time_limit_is_a_failure_and_no_cancel(here: Here) -> None:
    job = await new_job(here)
    late = b'{"name":"Timeout","message":"too long"}'
    await finish(here, job, ended(job, late, success=False, by="timeout"))
    record = await here.cluster.record(job.job_id)
    assert (record.success, record.canceled_by) == (False, None)


async def test_a_ping_keeps_custody_and_says_nothing_new(here: Here) -> None:
    (reply,) = await here.source.ping_all([custody_of(await new_job(here))])
    assert (reply.canceled_by, reply.already_completed) == (None, False)


async def test_a_ping_tells_of_a_cancel(here: Here) -> None:
    job = await new_job(here)
    await here.cluster.cancel(job.job_id, "not wanted")
    (reply,) = await here.source.ping_all([custody_of(job)])
    assert (reply.canceled_by, reply.canceled_reason) == ("admin", "not wanted")
    await finish(here, job, ended(job, b'{"name":"Canceled","message":"x"}', success=False, by="admin"))
    assert (await here.cluster.record(job.job_id)).canceled_by == "admin"


async def test_a_ping_tells_of_a_job_that_was_ended_elsewhere(here: Here) -> None:
    job = await new_job(here)
    await here.cluster.force_cancel(job.job_id)
    still = await new_job(here)
    gone, kept = await here.source.ping_all([custody_of(job), custody_of(still)])  # in their order
    assert (gone.already_completed, kept.already_completed) == (True, False)


async def test_log_text_is_appended_in_order(here: Here) -> None:
    job = await new_job(here)
    await here.source.push_log(custody_of(job), "a/1", 0, "one\n", missing=0)
    await here.source.push_log(custody_of(job), "a/1", 4, "zwei: süd\n", missing=0)
    assert (await here.cluster.logs(job.job_id)).endswith("one\nzwei: süd\n")


async def test_a_gap_in_log_text_is_marked_and_costs_nothing_after_it(here: Here) -> None:
    job = await new_job(here)
    await here.source.push_log(custody_of(job), "a/1", 0, "one\n", missing=0)
    await here.source.push_log(custody_of(job), "a/1", 10, "three\n", missing=6)
    await here.source.push_log(custody_of(job), "a/1", 16, "four\n", missing=0)
    gap = "\n[... 6 characters dropped: lost on the way ...]\n"
    assert (await here.cluster.logs(job.job_id)).endswith(f"one\n{gap}three\nfour\n")


async def test_log_text_that_no_text_column_holds_stops_nothing(here: Here) -> None:
    job = await new_job(here)
    await here.source.push_log(custody_of(job), "a/1", 0, "a\0b\n", missing=0)
    await here.source.push_log(custody_of(job), "a/1", 4, "c\n", missing=0)
    assert (await here.cluster.logs(job.job_id)).endswith("ab\nc\n")


async def test_what_is_of_no_job_at_the_cluster_is_offered_once(here: Here) -> None:
    job = replace(await new_job(here), job_id=NOBODYS)
    stray = Result(job_id=NOBODYS, attempt=Attempt(1), workspace="main", success=True)
    try:
        await here.source.send_result(custody_of(job), stray, b"1")
        await here.source.push_log(custody_of(job), "a/1", 0, "one\n", missing=0)
    except ClusterDown:
        pytest.fail("the relay would offer this for ever")


async def test_a_cluster_that_is_away_is_down_and_not_an_error_of_another_kind(tmp_path: Path) -> None:
    async with fake_cluster() as fake:
        token = fake.api.token(*TAGS)
    async with over_http(fake.url, tmp_path, token) as source:
        with pytest.raises(ClusterDown):
            await source.pull(LANE)


async def test_a_token_that_the_cluster_refuses_is_said_to_be_refused(tmp_path: Path) -> None:
    async with ours_in_process(tmp_path) as here:
        assert isinstance(here.cluster, Embedded)
        forged = (await minted(here.cluster.running, *TAGS))[:-4] + "AAAA"
        async with served(here.cluster.running.app) as url, over_http(url, tmp_path, forged) as source:
            with pytest.raises(TokenRefused, match="AGENT_TOKEN"):
                await source.pull(LANE)


async def test_a_value_that_looks_like_a_name_is_none(ours: Here) -> None:
    """A cluster of ours puts in what arguments name, so a relay over HTTP must not do it once more."""
    assert isinstance(ours.cluster, Embedded)
    variable = {"path": "u/admin/pin", "value": "$WM_USERNAME", "is_secret": False, "description": ""}
    assert (await ours.cluster.running.admin.post("/api/w/main/variables/create", json=variable)).is_success
    await pushed(ours, args={"pin": "$var:u/admin/pin"})
    assert json.loads((await pulled(ours)).args) == {"pin": "$WM_USERNAME"}


async def test_what_ran_and_failed_is_retried(ours: Here) -> None:
    job_id = await pushed(ours, retry=RETRY_ONCE)
    job = await pulled(ours)
    await finish(ours, job, ended(job, b'{"name":"E"}', success=False))
    retried = await pulled(ours)
    assert retried.job_id != job_id
    assert isinstance(ours.cluster, Embedded)
    assert (await ours.cluster.running.job(retried.job_id))["parent_job"] == job_id


async def test_what_no_site_ran_is_not_retried(ours: Here) -> None:
    await pushed(ours, retry=RETRY_ONCE)
    job = await pulled(ours)
    unrun = replace(ended(job, b'{"name":"CustodianLost"}', success=False), started_at=None)
    await finish(ours, job, unrun)
    assert await ours.source.pull(LANE) is None


async def test_what_a_tag_wants_once_is_not_retried(tmp_path: Path) -> None:
    async with ours_in_process(tmp_path) as here:
        await pushed(here, retry=RETRY_ONCE)
        job = await pulled(here)
        demanded = json.loads(job.job_json) | {"delivery": Delivery.AT_MOST_ONCE}  # by the dispatcher
        failed = ended(job, b'{"name":"E"}', success=False)
        await finish(here, replace(job, job_json=json.dumps(demanded)), failed)
        assert await here.source.pull(LANE) is None
