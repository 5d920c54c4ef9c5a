"""I5 at a cluster that appends whatever comes: a chunk whose answer was lost is marked, never repeated."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.wire.claims import Tag
from bridge.errors import ClusterDown
from bridge.relay.ledger import Custody
from bridge.relay.sources.http import HTTPSource
from tests.support.cluster import served
from tests.support.clusters import TAGS, custody_of, minted, over_http, running_cluster
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster

LANE = frozenset(map(Tag, TAGS))
WRITER = "ag-shop-a/1"
PUSH = "push_logs"
TAKEN = [Trouble.RESET_AFTER, Trouble.LOST, Trouble.TRUNCATED, Trouble.DROPPED_AT_THE_GATE, Trouble.PORTAL]
DOUBT = "\n[... 4 characters may be missing: the cluster's answer was lost ...]\n"


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
def job(fake: FakeCluster) -> FakeJob:
    made = FakeJob(code="echo hi", tag="bash")
    fake.api.jobs.push(made)
    return made


@pytest.fixture
async def source(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[HTTPSource]:
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS), request_s=1.0) as opened:
        yield opened


async def pulled(source: HTTPSource) -> Custody:
    job = await source.pull(LANE)
    assert job is not None
    return custody_of(job)


@pytest.mark.parametrize("trouble", TAKEN)
async def test_a_chunk_whose_answer_was_lost_is_not_sent_again(
    fake: FakeCluster, source: HTTPSource, job: FakeJob, trouble: Trouble
) -> None:
    custody = await pulled(source)
    fake.misbehave(PUSH, trouble)
    with pytest.raises(ClusterDown):
        await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)  # as the relay offers it again
    await source.push_log(custody, WRITER, 4, "two\n", missing=0)
    assert job.logs == f"one\n{DOUBT}two\n"


async def test_a_chunk_that_was_lost_on_its_way_is_marked(
    fake: FakeCluster, source: HTTPSource, job: FakeJob
) -> None:
    custody = await pulled(source)
    fake.misbehave(PUSH, Trouble.RESET_BEFORE)
    with pytest.raises(ClusterDown):
        await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    assert job.logs == DOUBT


async def test_not_even_by_a_bridge_that_died_in_between(
    fake: FakeCluster, source: HTTPSource, job: FakeJob, tmp_path: Path
) -> None:
    custody = await pulled(source)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)  # and dies before it notes that
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS)) as next_life:
        await next_life.push_log(custody, WRITER, 0, "one\n", missing=0)
        await next_life.push_log(custody, WRITER, 4, "two\n", missing=0)
    assert job.logs == f"one\n{DOUBT}two\n"


async def test_what_comes_with_a_doubtful_chunk_is_sent(
    fake: FakeCluster, source: HTTPSource, job: FakeJob
) -> None:
    custody = await pulled(source)
    fake.misbehave(PUSH, Trouble.RESET_AFTER)
    with pytest.raises(ClusterDown):
        await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 0, "one\ntwo\n", missing=0)
    assert job.logs == f"one\n{DOUBT}two\n"


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"retry_after": "0"}), (503, {"retry_after": "0"}), (401, {})]
)
async def test_a_chunk_that_the_cluster_says_it_did_not_take_is_sent_again(
    fake: FakeCluster, source: HTTPSource, job: FakeJob, status: int, headers: dict[str, str]
) -> None:
    custody = await pulled(source)
    fake.refuse(PUSH, status, **headers)
    with pytest.raises(ClusterDown):
        await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    assert job.logs == "one\n"


async def test_text_that_is_declined_holds_up_no_other(
    fake: FakeCluster, source: HTTPSource, job: FakeJob
) -> None:
    custody = await pulled(source)
    fake.refuse(PUSH, 400)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 4, "two\n", missing=0)
    assert job.logs == "two\n"


async def test_text_is_kept_while_a_gateway_does_not_find_the_cluster(
    fake: FakeCluster, source: HTTPSource, job: FakeJob
) -> None:
    custody = await pulled(source)
    fake.refuse("/api/", 404, times=3)  # the question, the chunk and the ping
    with pytest.raises(ClusterDown):
        await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    assert job.logs == "one\n"


async def test_a_cluster_of_ours_is_told_where_a_chunk_belongs_so_that_nothing_is_missing(
    tmp_path: Path,
) -> None:
    async with running_cluster(tmp_path) as running:
        job_id = await running.preview()
        async with (
            served(running.app) as url,
            over_http(url, tmp_path, await minted(running, *TAGS)) as source,
        ):
            custody = await pulled(source)
            await source.push_log(custody, WRITER, 0, "one\n", missing=0)
            await source.push_log(custody, WRITER, 0, "one\n", missing=0)
            await source.push_log(custody, WRITER, 0, "one\ntwo\n", missing=0)
        logs = (await running.admin.get(f"/api/w/main/jobs_u/get_logs/{job_id}")).text
        assert logs.endswith("one\ntwo\n")
        assert logs.count("one") == 1


async def test_a_cluster_that_is_older_than_the_question_is_taken_for_foreign(
    fake: FakeCluster, source: HTTPSource, job: FakeJob
) -> None:
    custody = await pulled(source)
    fake.refuse("get_min_version", 404)
    await source.push_log(custody, WRITER, 0, "one\n", missing=0)
    assert job.logs == "one\n"
    assert [request.query for request in fake.asked(PUSH)] == [""]
