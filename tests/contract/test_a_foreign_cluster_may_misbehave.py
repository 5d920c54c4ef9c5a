"""Whatever a cluster that is not ours does to a call: no job is taken twice, and no result is lost."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.wire.claims import Tag
from bridge.errors import ClusterDown, TokenRefused
from bridge.relay.sources.http import HTTPSource
from bridge.relay.sources.source import Pulled
from tests.support.cluster import MovedClock, served
from tests.support.clusters import TAGS, custody_of, ended, minted, over_http, running_cluster
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import NOT_TAKEN, FakeCluster, Trouble, fake_cluster
from tests.support.until import until

LANE = frozenset(map(Tag, TAGS))
PULL, RESULT, PING = "pull_job", "send_result", "ping_job_status"
PATIENCE_S = 1.0
TAKEN = [trouble for trouble in Trouble if trouble not in NOT_TAKEN]
WITHOUT_AN_ANSWER = [one for one in TAKEN if one not in (Trouble.REPEATED, Trouble.LATE)]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
async def source(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[HTTPSource]:
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS), request_s=PATIENCE_S) as opened:
        yield opened


def push(fake: FakeCluster, **job: object) -> FakeJob:
    made = FakeJob(**{"code": "echo hi", "tag": "bash", **job})
    fake.api.jobs.push(made)
    return made


async def pulled(source: HTTPSource) -> Pulled:
    job = await source.pull(LANE)
    assert job is not None
    return job


async def test_every_request_is_one_that_an_agent_worker_sends(fake: FakeCluster, source: HTTPSource) -> None:
    push(fake)
    await source.announce("machine", "Initial")
    await source.announce("machine", "MainLoop")
    job = await pulled(source)
    await source.ping(custody_of(job))
    await source.push_log(custody_of(job), "ag-shop-a/1", 0, "one\n", missing=0)
    await source.send_result(custody_of(job), ended(job, b"1"), b"1")
    assert fake.refused == []
    for request in fake.requests:
        assert request.query == ""
        assert request.headers["user-agent"] == "Windmill-Agent/1.0"
        assert request.headers["authorization"].startswith("Bearer jwt_agent_till-a1b2c_eyJ")
    (pull,) = fake.asked(PULL)
    assert (pull.method, pull.body, pull.headers["content-type"]) == ("POST", b"null", "application/json")
    assert [ping.json["ping_type"] for ping in fake.asked("update_ping")] == ["Initial", "MainLoop"]


async def test_it_is_on_the_workers_page_with_the_version_of_the_cluster(
    fake: FakeCluster, source: HTTPSource
) -> None:
    await source.announce("machine", "Initial")
    worker = fake.api.workers["ag-relay-till-a1b2c"]
    assert (worker["worker_instance"], worker["version"]) == ("machine", "v1.640.0")
    assert worker["tags"] == sorted(TAGS)


async def test_a_cluster_without_a_version_is_told_ours(fake: FakeCluster, source: HTTPSource) -> None:
    fake.refuse("get_min_version", 404)
    await source.announce("machine", "Initial")
    assert fake.api.workers["ag-relay-till-a1b2c"]["version"] == "v1.600.0"


@pytest.mark.parametrize("trouble", WITHOUT_AN_ANSWER)
async def test_a_pull_whose_answer_is_lost_is_not_sent_again(
    fake: FakeCluster, source: HTTPSource, trouble: Trouble
) -> None:
    job = push(fake)
    fake.misbehave(PULL, trouble)
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    assert len(fake.asked(PULL)) == 1
    fake.api.jobs.sweep(job.job_id)  # the cluster's own way to find out that nobody has it
    assert (await pulled(source)).job_id == job.job_id
    assert job.handed_out == 2


async def test_a_pull_that_was_not_taken_strands_nothing(fake: FakeCluster, source: HTTPSource) -> None:
    job = push(fake)
    fake.misbehave(PULL, Trouble.RESET_BEFORE)
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    assert (await pulled(source)).job_id == job.job_id
    assert job.handed_out == 1


async def test_an_answer_that_comes_twice_is_one_job(fake: FakeCluster, source: HTTPSource) -> None:
    jobs = [push(fake), push(fake)]
    fake.misbehave(PULL, Trouble.REPEATED)
    assert [(await pulled(source)).job_id for _ in jobs] == [job.job_id for job in jobs]
    assert await source.pull(LANE) is None


async def test_a_session_that_ends_in_a_pull_leaves_its_job_to_the_next(
    fake: FakeCluster, source: HTTPSource
) -> None:
    job = push(fake)
    fake.misbehave(PULL, Trouble.LATE)
    session = asyncio.create_task(source.pull(LANE))
    await until(lambda: job.state == "running")
    session.cancel()
    await asyncio.wait([session])
    fake.let_go.set()
    assert (await pulled(source)).job_id == job.job_id
    assert len(fake.asked(PULL)) == 1


async def test_a_job_that_nobody_asked_about_meanwhile_is_left_to_the_sweep(
    fake: FakeCluster, tmp_path: Path
) -> None:
    """By the next session it may be another worker's."""
    clock = MovedClock()
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS), clock=clock) as source:
        late, next_one = push(fake), push(fake)
        fake.misbehave(PULL, Trouble.LATE)
        session = asyncio.create_task(source.pull(LANE))
        await until(lambda: late.state == "running")
        session.cancel()
        await asyncio.wait([session])
        fake.let_go.set()
        await until(lambda: not pulls_under_way())
        clock.ahead_s = 31
        assert (await pulled(source)).job_id == next_one.job_id


async def test_a_relay_that_ends_leaves_no_pull_behind(fake: FakeCluster, tmp_path: Path) -> None:
    job = push(fake)
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS)) as source:
        fake.misbehave(PULL, Trouble.LATE)
        session = asyncio.create_task(source.pull(LANE))
        await until(lambda: job.state == "running")
        session.cancel()
        await asyncio.wait([session])
        assert pulls_under_way()
    await until(lambda: not pulls_under_way())


def pulls_under_way() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "pull_job"]


async def test_a_cluster_of_ours_gives_the_same_job_again(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        first, second = await running.preview(), await running.preview()
        loses = _LosesAnswers(running.app, PULL)
        async with (
            served(loses) as url,
            over_http(url, tmp_path, await minted(running, *TAGS)) as source,
        ):
            with pytest.raises(ClusterDown):
                await source.pull(LANE)
            assert [(await pulled(source)).job_id for _ in range(2)] == [first, second]


@pytest.mark.parametrize("trouble", [Trouble.RESET_BEFORE, *WITHOUT_AN_ANSWER])
async def test_a_result_is_sent_until_the_cluster_says_that_it_has_it(
    fake: FakeCluster, source: HTTPSource, trouble: Trouble
) -> None:
    job = push(fake)
    has = await pulled(source)
    fake.misbehave(RESULT, trouble)
    await source.send_result(custody_of(has), ended(has, b"42"), b"42")
    assert job.result == 42
    assert len(fake.asked(RESULT)) == 2


async def test_a_result_that_nobody_takes_is_kept(fake: FakeCluster, source: HTTPSource) -> None:
    push(fake)
    has = await pulled(source)
    fake.refuse(RESULT, 404, times=99)  # of a gateway: the cluster itself knows the job
    with pytest.raises(ClusterDown):
        await source.send_result(custody_of(has), ended(has, b"42"), b"42")


async def test_a_result_that_is_too_large_for_the_cluster_ends_its_job_and_holds_up_no_other(
    fake: FakeCluster, source: HTTPSource
) -> None:
    job = push(fake)
    has = await pulled(source)
    fake.refuse(RESULT, 413)
    await source.send_result(custody_of(has), ended(has, b"42"), b"42")
    assert job.result["error"]["name"] == "ResultTooLarge"


async def test_a_body_that_drips_is_not_waited_for(fake: FakeCluster, source: HTTPSource) -> None:
    push(fake)
    fake.misbehave(PULL, Trouble.SLOW)
    began_s = time.monotonic()
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    assert time.monotonic() - began_s < PATIENCE_S * 3


@pytest.mark.parametrize("status", [429, 503])
async def test_a_retry_after_binds_every_call(fake: FakeCluster, source: HTTPSource, status: int) -> None:
    job = push(fake)
    has = await pulled(source)
    fake.refuse(PING, status, retry_after="1")
    with pytest.raises(ClusterDown):
        await source.ping(custody_of(has))
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(source.ping(custody_of(has)))
        group.create_task(source.pull(LANE))
        group.create_task(source.send_result(custody_of(has), ended(has, b"1"), b"1"))
    assert time.monotonic() - began_s >= 0.9
    assert job.pings <= 1
    assert len(fake.requests) == 2 + 3 + 1  # and the environment that the first pull asked for


@pytest.mark.parametrize("body", [b'"hi"', b"7", b"{}", b'{"job": {"id": 3}, "token": "x"}', b"[]"])
async def test_an_answer_that_is_no_job_ends_nothing(
    fake: FakeCluster, source: HTTPSource, body: bytes
) -> None:
    job = push(fake)
    fake.say(PULL, body)
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    assert (await pulled(source)).job_id == job.job_id


async def test_a_ping_waits_for_its_answer_no_longer_than_until_the_next(
    fake: FakeCluster, tmp_path: Path
) -> None:
    push(fake)
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS)) as source:
        has = await pulled(source)
        source.ping_every_s = 0.2
        fake.misbehave(PING, Trouble.LOST)
        with pytest.raises(ClusterDown):
            await source.ping(custody_of(has))


@pytest.mark.parametrize(("told", "read"), [(7, "7"), ("\ud800", "?"), (None, None)])
async def test_a_cancel_is_text_whatever_it_came_as(
    fake: FakeCluster, source: HTTPSource, told: object, read: str | None
) -> None:
    push(fake)
    has = await pulled(source)
    fake.say(PING, json.dumps({"canceled_by": told, "canceled_reason": told}).encode())
    reply = await source.ping(custody_of(has))
    assert (reply.canceled_by, reply.canceled_reason) == (read, read)


async def test_an_answer_that_is_no_ping_ends_nothing(fake: FakeCluster, source: HTTPSource) -> None:
    push(fake)
    has = await pulled(source)
    fake.say(PING, b"[]")
    with pytest.raises(ClusterDown):
        await source.ping(custody_of(has))


async def test_a_lane_whose_token_is_refused_holds_up_no_other(fake: FakeCluster, tmp_path: Path) -> None:
    bad = fake.api.token("a", group="east")[:-4] + "AAAA"
    push(fake, tag="b")
    async with over_http(fake.url, tmp_path, bad, fake.api.token("b", group="west")) as source:
        lanes = source.lanes(frozenset(map(Tag, "ab")))
        assert lanes == [{"a"}, {"b"}]
        with pytest.raises(TokenRefused, match="group east"):
            await source.pull(lanes[0])
        assert source.lanes(frozenset(map(Tag, "ab"))) == [{"b"}]
        job = await source.pull(lanes[1])
        assert job is not None
        with pytest.raises(TokenRefused):
            await source.announce("machine", "Initial")
        await source.ping(custody_of(job))
    assert list(fake.api.workers) == ["ag-west-till-a1b2c"]


@pytest.mark.parametrize("hash_hex", ["00000000000000ff", "ffffffffffffff01"])
async def test_code_that_does_not_come_with_its_job_is_asked_for(
    fake: FakeCluster, source: HTTPSource, hash_hex: str
) -> None:
    fake.api.scripts[hash_hex] = "echo from afar"
    push(fake, kind="script", runnable_id=hash_hex)
    fake.misbehave("/script/", Trouble.RESET_AFTER)
    assert (await pulled(source)).code == "echo from afar"


async def test_a_job_whose_code_cannot_be_had_yet_waits_for_it(fake: FakeCluster, source: HTTPSource) -> None:
    fake.api.scripts["00000000000000ff"] = "echo from afar"
    push(fake, kind="script", runnable_id="00000000000000ff")
    fake.misbehave("/script/", Trouble.RESET_AFTER, times=3)
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    assert (await pulled(source)).code == "echo from afar"
    assert len(fake.asked(PULL)) == 1


async def test_a_job_whose_code_is_gone_is_ended_with_the_reason(
    fake: FakeCluster, source: HTTPSource
) -> None:
    job = push(fake, kind="script", runnable_id="00000000000000ff")
    assert await source.pull(LANE) is None
    error = job.result["error"]
    assert (error["name"], "script/255 answered 404" in error["message"]) == ("NotFound", True)


async def test_an_environment_that_cannot_be_had_stops_no_job(fake: FakeCluster, source: HTTPSource) -> None:
    push(fake)
    fake.refuse("custom_envs", 500, times=99)
    assert (await pulled(source)).env["WM_USERNAME"] == "admin"


async def test_a_job_waits_for_an_environment_that_can_be_had_soon(
    fake: FakeCluster, source: HTTPSource
) -> None:
    job = push(fake)
    fake.api.environments["main"] = [["REGION", "north"]]
    fake.refuse("custom_envs", 429, times=3)
    with pytest.raises(ClusterDown):
        await source.pull(LANE)
    has = await pulled(source)
    assert (has.job_id, has.env["REGION"]) == (job.job_id, "north")
    assert len(fake.asked(PULL)) == 1


class _LosesAnswers:
    """The application, whose first answer under a path never leaves."""

    def __init__(self, app: object, on: str) -> None:
        self._app = app
        self._on = on

    async def __call__(self, scope: dict, receive: object, send: object) -> None:
        if self._on not in scope["path"]:
            await self._app(scope, receive, send)
            return
        self._on = "nothing more"

        async def swallow(message: object) -> None:
            """The answer."""

        await self._app(scope, receive, swallow)
