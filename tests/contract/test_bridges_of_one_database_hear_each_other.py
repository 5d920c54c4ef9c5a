"""What one bridge does wakes whoever waits at another of one database; only the leader writes as such."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
import pytest
import pytest_asyncio

from agent.wire.claims import WorkerName
from bridge.agents.holding import Holding
from bridge.agents.model import HeldJob, HeldJobs
from bridge.errors import ConfigError
from bridge.jobs.model import Completion
from bridge.relay.ledger import Ledger
from bridge.relay.signer import Signer
from bridge.store.connection import open_store
from bridge.store.fence import TERM, Deposed, Fenced, Term
from bridge.store.listener import Listener
from bridge.store.on_server import OnServer
from bridge.tokens.model import NewPersonToken
from bridge.web.asgi import build
from bridge.web.cluster import open_cluster
from dev_tools.database import DatabaseServer
from tests.support.cluster import ADMIN, BASE_URL, PASSWORD, MovedClock, Running, client_of
from tests.support.databases import TEMPLATE, on_server
from tests.support.until import until

pytestmark = [pytest.mark.on_each_release, pytest.mark.asyncio(loop_scope="module")]

SOON_S: Final = 15.0
LONG_S: Final = 60.0  # whoever waits has so long
SILENCE_S: Final = 60.0
WORKER: Final = WorkerName("ag-pos-till-a1b2c")


@asynccontextmanager
async def bridge(place: OnServer) -> AsyncIterator[Running]:
    """One of the bridges, in this process."""
    opened = await open_store(place)
    clock = MovedClock()
    try:
        store = Fenced(opened)
        signer = await Signer.load(Ledger(store, clock))
        cluster = await open_cluster(store, clock, BASE_URL, PASSWORD, sign=signer.headers)
        token = await cluster.tokens.create(ADMIN, NewPersonToken())
        app = build(cluster.routes)
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(Listener(place.url, cluster.bulletin).run()),
                group.create_task(cluster.jobs.tell_heartbeats()),
            ]
            yield Running(
                cluster=cluster, store=store, clock=clock, app=app, admin=client_of(app, token), signer=signer
            )
            for task in beside:
                task.cancel()
    finally:
        await opened.close()


@pytest.fixture(scope="module")
def shared(database_server: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnServer]:
    with database_server.fresh(TEMPLATE) as name:
        yield on_server(database_server, name, tmp_path_factory.mktemp("bridges"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridges(shared: OnServer) -> AsyncIterator[tuple[Running, Running]]:
    """For all tests here: each has a tag of its own."""
    async with bridge(shared) as one, bridge(shared) as other:
        await until(lambda: listeners(shared.url.reveal()) == 2)
        yield one, other


def listeners(url: str) -> int:
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    with psycopg.connect(url) as connection:
        row = connection.execute(asked).fetchone()
    assert row is not None
    return int(row[0])


async def test_whoever_waits_at_one_is_woken_by_the_other(bridges: tuple[Running, Running]) -> None:
    here, there = bridges
    jobs = here.cluster.jobs
    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as group:  # sooner than anybody looks by himself
        pulling = group.create_task(jobs.pull_in_time(WORKER, ["bash"], None, LONG_S))
        dispatching = group.create_task(jobs.wait_for_push(LONG_S))
        await asyncio.sleep(0)
        job_id = await there.preview()
        pulled = await pulling
        await dispatching
    assert pulled is not None
    assert pulled.job_id == job_id

    async with asyncio.timeout(SOON_S), asyncio.TaskGroup() as group:
        held = HeldJobs(jobs=[HeldJob(job_id, pulled.attempt)], all=True)
        holding = group.create_task(Holding(here.store, jobs).heard(WORKER, held, LONG_S))
        await until(lambda: jobs.heartbeats.last(job_id))
        await there.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={"reason": "enough"})
        assert [job.id for job in (await holding).canceled] == [job_id]

    with jobs.endings.watched(job_id) as ended:
        async with asyncio.timeout(SOON_S):
            await there.cluster.jobs.complete("main", job_id, Completion(success=True, result=b"1"))
            await ended.wait()
    assert jobs.heartbeats.last(job_id) is None


async def test_a_job_that_pings_one_is_alive_for_the_other(bridges: tuple[Running, Running]) -> None:
    here, there = bridges
    job_id = await there.preview(tag="silent")
    await here.cluster.jobs.pull(WORKER, ["silent"])
    here.clock.ahead_s += SILENCE_S + 1
    await there.cluster.jobs.ping(job_id, WORKER, 77)
    heartbeats = here.cluster.jobs.heartbeats
    await until(lambda: (heard := heartbeats.last(job_id)) and heard.mem_peak_kb == 77)
    assert await here.cluster.jobs.sweep_zombies(SILENCE_S) == 0
    here.clock.ahead_s += SILENCE_S + 1
    assert await here.cluster.jobs.sweep_zombies(SILENCE_S) == 1


async def test_a_schedule_that_is_made_at_one_is_ticked_by_the_other(
    bridges: tuple[Running, Running],
) -> None:
    here, there = bridges
    ticking = asyncio.ensure_future(here.cluster.schedules.run())
    script = {
        "path": "f/a/b",
        "summary": "",
        "description": "",
        "content": "echo",
        "language": "bash",
        "tag": "cron",
    }
    assert (await there.admin.post("/api/w/main/scripts/create", json=script)).is_success
    schedule = {
        "path": "f/a/s", "script_path": "f/a/b", "schedule": "* * * * * *", "timezone": "UTC",
        "is_flow": False, "args": {}, "enabled": True,
    }  # fmt: skip
    answer = await there.admin.post("/api/w/main/schedules/create", json=schedule)
    assert answer.is_success, answer.text
    async with asyncio.timeout(SOON_S):
        assert await there.cluster.jobs.pull_in_time(WORKER, ["cron"], None, LONG_S) is not None
    ticking.cancel()


async def test_one_with_another_key_for_secrets_is_refused(
    bridges: tuple[Running, Running], shared: OnServer, tmp_path: Path
) -> None:
    """Before there is any secret: what one sealed with its own key the other could never open."""
    for made in (False, True):
        if made:
            (tmp_path / "key").write_text("ab" * 32)
        with pytest.raises(ConfigError, match="key"):
            async with bridge(replace(shared, key_path=tmp_path / "key")):
                pytest.fail("it was opened")


async def test_a_deposed_leader_writes_nothing(bridges: tuple[Running, Running], shared: OnServer) -> None:
    here, _ = bridges
    job_id = await here.preview(tag="led")
    ended: list[int] = []
    TERM.set(Term(1, lambda: ended.append(1)))

    def lead_as(epoch: int) -> None:
        with psycopg.connect(shared.url.reveal()) as connection:
            connection.execute("UPDATE leader SET epoch = %s", (epoch,))

    lead_as(1)
    assert await here.cluster.jobs.pull(WORKER, ["led"]) is not None
    lead_as(2)
    for refused in (
        here.cluster.jobs.put_back(WORKER, frozenset()),
        here.cluster.jobs.complete("main", job_id, Completion(success=True, result=b"1")),
        here.cluster.jobs.pull(WORKER, ["led"]),
    ):
        with pytest.raises(Deposed):
            await refused
    assert ended
    TERM.set(None)  # the API of the same process goes on
    assert (await here.job(job_id))["running"] is True
    await here.cluster.jobs.complete("main", job_id, Completion(success=True, result=b"1"))
