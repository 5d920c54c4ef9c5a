"""What a cluster leaves to its workers is done by the relay and by the agent's own link alike: names become
values, code is fetched, and a job that is not to be run is ended (agent-api.md 2.1, 7.1 and 7.5).
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.holdings import SpoolHoldings
from agent.link.http.link import Links
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.wire.claims import Attempt, Tag
from agent.wire.envelope import job_in
from agent.wire.messages import Job
from bridge.errors import ClusterDown
from tests.support.clusters import TAGS, over_http
from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, fake_cluster
from tests.support.until import until

LANE = frozenset(map(Tag, TAGS))


Take = Callable[[], Awaitable[Job]]  # the next job that is to be run at a site


@asynccontextmanager
async def relay(fake: FakeCluster, folder: Path) -> AsyncIterator[Take]:
    async with over_http(fake.url, folder, fake.api.token(*TAGS)) as source:

        async def take() -> Job:
            while (pulled := await source.pull(LANE)) is None:
                pass
            return pulled.as_job(Attempt(1), 0.0)

        yield take


@asynccontextmanager
async def agent(fake: FakeCluster, folder: Path) -> AsyncIterator[Take]:
    spool = await Spool.open(folder / "spool", SystemClock())
    holdings = SpoolHoldings(spool, Book(spool, SystemClock()))
    token = Secret(fake.api.token(*TAGS))
    links = Links(fake.url, lambda: token, "till-a1b2c", "till", holdings, SYSTEM)
    enrolment = Enrolment(
        worker="ag-relay-till-a1b2c", worker_group="relay", tags=TAGS, shared_tags=TAGS, link=LinkKind.PLAIN
    )
    async with links.connect(enrolment) as link:
        for tag in TAGS:
            await link.open_tag(Tag(tag), 1)

        async def take() -> Job:
            delivery = await link.next_job()
            await delivery.ack()
            return job_in(delivery.body)

        yield take
    await spool.close()


Opened = Callable[[FakeCluster, Path], AbstractAsyncContextManager[Take]]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture(params=[relay, agent])
async def take(request: pytest.FixtureRequest, fake: FakeCluster, tmp_path: Path) -> AsyncIterator[Take]:
    opened: Opened = request.param
    async with opened(fake, tmp_path) as one:
        yield one


def push(fake: FakeCluster, **job: Any) -> FakeJob:
    made = FakeJob(**{"code": "echo hi", "tag": "bash", **job})
    fake.api.jobs.push(made)
    return made


async def becomes(fake: FakeCluster, take: Take, job: FakeJob) -> dict[str, Any]:
    """The end of a job that goes to no site; the one behind it does."""
    good = push(fake)
    assert (await take()).job_id == good.job_id
    await until(lambda: job.completions, within_s=10)
    completion = job.completions[0]
    assert (completion["success"], completion["duration"]) == (False, None)  # never begun
    assert fake.asked("push_logs") == []
    return completion


async def test_names_become_values_that_the_job_itself_may_read(fake: FakeCluster, take: Take) -> None:
    fake.api.variables |= {"u/admin/pin": "$var:u/admin/not-a-name", "f/süd/a b": "x"}
    fake.api.resources["u/admin/till"] = {"pin": "$var:f/süd/a b", "port": 5}
    named = [{"a": "$var:u/admin/pin"}, "$var:f/süd/a b", "$res:u/admin/till", "$WM_USERNAME", "$5", 1.5]
    job = push(fake, args={"all": named, "none": None})
    taken = await take()
    found = [{"a": "$var:u/admin/not-a-name"}, "x", {"pin": "x", "port": 5}, "admin", "$5", 1.5]
    assert json.loads(taken.args) == {"all": found, "none": None}
    asked = [one for one in fake.requests if "get_value" in one.path]
    assert {one.headers["authorization"] for one in asked} == {f"Bearer jwt_{job.job_id}"}
    assert fake.refused == []


async def test_what_no_worker_can_resolve_ends_the_job(fake: FakeCluster, take: Take) -> None:
    gone = await becomes(fake, take, push(fake, args={"a": 1, "pin": ["$var:u/admin/gone"]}))
    assert gone["result"]["name"] == "NotFound"
    assert "argument `pin`: GET /api/w/main/variables/get_value/u/admin/gone" in gone["result"]["message"]
    fake.refuse("resources", 403)
    barred = await becomes(fake, take, push(fake, args={"till": "$res:u/admin/till"}))
    assert "may not be read by this job" in barred["result"]["message"]
    hidden = await becomes(fake, take, push(fake, args={"key": "$encrypted:abc"}))
    assert "argument `key`: it is encrypted" in hidden["result"]["message"]


async def test_a_job_that_is_not_to_be_run_ends_as_it_says(fake: FakeCluster, take: Take) -> None:
    canceled = push(fake, canceled_by="admin", canceled_reason="changed my mind")
    end = await becomes(fake, take, canceled)
    assert end["canceled_by"] == {"username": "admin", "reason": "changed my mind"}
    assert end["result"]["name"] == "Canceled"
    broken = await becomes(fake, take, push(fake, pre_run_error="no such worker group"))
    assert (broken["canceled_by"], broken["result"]["message"]) == (None, "no such worker group")


async def test_a_job_that_no_agent_can_run_says_who_can(fake: FakeCluster, take: Take) -> None:
    for kind in ("flow", "flowpreview", "dependencies", "flowdependencies", "identity"):
        end = await becomes(fake, take, push(fake, kind=kind, code=None))
        assert (end["result"]["name"], end["canceled_by"]) == ("NotForAgents", None)
        assert f"this job of kind {kind} by its tag" in end["result"]["message"]
        assert "normal worker" in end["result"]["message"]


async def test_code_is_fetched_from_where_its_kind_has_it(fake: FakeCluster, take: Take) -> None:
    fake.api.scripts["00000000000000ff"] = "echo script"
    fake.api.flow_scripts["00000000000000ff"] = "echo flow"
    for kind in ("script", "flowscript"):
        push(fake, kind=kind, runnable_id="00000000000000ff")
        assert (await take()).code == f"echo {kind.removesuffix('script') or kind}"
    end = await becomes(fake, take, push(fake, code=None))
    assert "comes without code" in end["result"]["message"]


async def test_a_relay_asks_again_for_a_value_while_the_cluster_stumbles(
    fake: FakeCluster, tmp_path: Path
) -> None:
    fake.api.variables["u/admin/pin"] = "1"
    job = push(fake, args={"pin": "$var:u/admin/pin"})
    async with over_http(fake.url, tmp_path, fake.api.token(*TAGS)) as source:
        fake.refuse("variables", 502, times=4)
        with pytest.raises(ClusterDown):
            await source.pull(LANE)
        pulled = await source.pull(LANE)
    assert pulled is not None
    assert (json.loads(pulled.args), job.handed_out) == ({"pin": "1"}, 1)
