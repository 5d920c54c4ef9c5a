"""A pulled job that cannot be read ends itself at most: never the relay, nor the job behind it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.wire.claims import Tag
from bridge.errors import ClusterDown, TooDeep
from bridge.relay.sources.http import HTTPSource
from tests.support.clusters import TAGS, over_http
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, fake_cluster

LANE = frozenset(map(Tag, TAGS))
ENDED: list[
    tuple[str, dict[str, Any], dict[str, Any]]
] = [  # what is said of it, what is wrong in the job, beside it
    ("TypeError", {"not_after": 7}, {}),
    ("ValueError", {"not_after": "tomorrow"}, {}),
    ("ValueError", {"lost_after": "soon"}, {}),
    ("OverflowError", {"priority": 2**70}, {}),
    ("no JSON object", {"args": [1]}, {}),
    ("UnicodeEncodeError", {}, {"raw_code": "echo \ud800"}),
    ("'code' must be str", {}, {"raw_code": 7}),
    ("'timeout_s' must be", {"timeout": "soon"}, {}),
]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
async def source(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[HTTPSource]:
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS)) as opened:
        yield opened


def garbled(fake: FakeCluster, job: FakeJob, inside: dict[str, Any], beside: dict[str, Any]) -> None:
    """The next pull gets this job, so changed."""
    fake.api.jobs.push(job)
    reply = job.as_pulled()
    told = reply | {"job": reply["job"] | inside} | beside
    fake.say("pull_job", json.dumps(told).encode())


async def is_served(fake: FakeCluster, source: HTTPSource) -> bool:
    job_id = fake.api.jobs.push(FakeJob(code="echo hi", tag="bash", priority=1))
    pulled = await source.pull(LANE)
    return pulled is not None and pulled.job_id == job_id


@pytest.mark.parametrize(("said", "inside", "beside"), ENDED)
async def test_it_is_ended_with_the_reason(
    fake: FakeCluster, source: HTTPSource, said: str, inside: dict[str, Any], beside: dict[str, Any]
) -> None:
    job = FakeJob(code="echo hi", tag="bash")
    garbled(fake, job, inside, beside)
    with capture_logs() as logs:
        assert await source.pull(LANE) is None
    (line,) = [line for line in logs if line["event"] == "job.malformed"]
    assert (line["log_level"], line["job_id"]) == ("error", job.job_id)
    assert said in line["reason"]
    assert job.result["error"]["name"] == "Malformed"
    assert said in job.result["error"]["message"]
    assert fake.refused == []
    assert await is_served(fake, source)


async def test_a_tag_that_the_token_does_not_have_is_no_job_for_a_site(
    fake: FakeCluster, source: HTTPSource
) -> None:
    job = FakeJob(code="echo hi", tag="not-ours")
    garbled(fake, job, {}, {})
    assert await source.pull(LANE) is None
    assert "not-ours" in job.result["error"]["message"]


@pytest.mark.parametrize(
    ("inside", "beside"),
    [
        ({"created_by": None, "permissioned_as": None}, {}),
        ({"kind": [1]}, {}),
        ({}, {"token": None}),
    ],
)
async def test_one_that_even_the_cluster_cannot_read_is_left_to_its_sweep(
    fake: FakeCluster, source: HTTPSource, inside: dict[str, Any], beside: dict[str, Any]
) -> None:
    job = FakeJob(code="echo hi", tag="bash")
    garbled(fake, job, inside, beside)
    with capture_logs() as logs:
        assert await source.pull(LANE) is None
    assert [line["job_id"] for line in logs if line["event"] == "job.malformed"] == [job.job_id]
    assert job.completions == []
    assert await is_served(fake, source)


async def test_at_any_depth_it_is_read_or_refused(fake: FakeCluster, source: HTTPSource) -> None:
    """Where the interpreter gives up depends on how deep the call itself is."""
    became: list[str] = []
    for depth in [*range(800, 1000), 100_000]:
        job = FakeJob(code="echo hi", tag="bash")
        deep = f'"args": {{"a": {"[" * depth}{"]" * depth}}}'
        reply = json.dumps(job.as_pulled()).replace('"args": null', deep)
        fake.api.jobs.push(job)
        fake.say("pull_job", reply.encode())
        with capture_logs() as logs:
            try:
                became.append("ended" if await source.pull(LANE) is None else "read")
            except TooDeep:
                became.append("refused")
        assert ("job.malformed" in [line["event"] for line in logs]) is (became[-1] != "read")
    assert {"read", "refused"} <= set(became)


@pytest.mark.parametrize("job_id", ["a\nb", "../admin", "\ud800", "ü"])
async def test_whatever_its_id_is_made_of_it_is_one_word_of_a_path(
    fake: FakeCluster, source: HTTPSource, job_id: str
) -> None:
    job = FakeJob(code="echo hi", tag="bash")
    garbled(fake, job, {"id": job_id, "not_after": 7}, {})
    try:
        await source.pull(LANE)
    except ClusterDown:
        assert job_id == "\ud800"  # which no URL can hold
    assert all(request.path.count("/") == 6 for request in fake.asked("send_result"))
    assert await is_served(fake, source)
