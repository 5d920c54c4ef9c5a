"""On PostgreSQL a write is alone, whole and durable, whoever else is at work and whatever becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest

from agent.database import ReadFailed, WriteFailed
from agent.logs import Secret
from bridge.store.connection import open_store
from bridge.store.on_server import OnServer
from bridge.store.pg_session import OutcomeUnknown
from bridge.store.store import Connection, NotBeside, Store, Taken
from dev_tools.database import DatabaseServer
from dev_tools.proxy import LinkProxy
from tests.support.cluster import running_cluster
from tests.support.databases import plain
from tests.support.until import until

pytestmark = pytest.mark.on_each_release

SET = plain("INSERT INTO setting (name, value) VALUES (:name, :value)")
GET = plain("SELECT value FROM setting WHERE name = :name")
CHANGE = plain("UPDATE setting SET value = :value WHERE name = :name")
# A commit that takes as long as somebody else holds this lock: the trigger fires inside COMMIT.
SLOW_COMMIT = """
  CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock(7, 7); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON setting DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_at_commit()
"""
AT_COMMIT = (
    "SELECT pid FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event_type = 'Lock' AND datname = %s"
)


@asynccontextmanager
async def opened(place: OnServer, bridges: int = 1) -> AsyncIterator[list[Store]]:
    stores = [await open_store(place) for _ in range(bridges)]
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


def put(name: str, value: str = "") -> object:
    return lambda connection: connection.execute(SET, {"name": name, "value": value}).rowcount


async def value(store: Store, name: str) -> str | None:
    row = await store.read(lambda connection: connection.execute(GET, {"name": name}).fetchone())
    return None if row is None else row["value"]


def one_more(connection: Connection) -> int:
    """Read, then write: wrong as soon as anybody comes in between."""
    counted = int(connection.execute(GET, {"name": "count"}).fetchone()["value"]) + 1
    connection.execute(CHANGE, {"name": "count", "value": str(counted)})
    return counted


async def test_two_bridges_write_one_after_the_other(database: OnServer) -> None:
    async with opened(database, 2) as (one, other):
        await one.write(put("count", "0"))
        counted = await asyncio.gather(*(store.write(one_more) for _ in range(40) for store in (one, other)))
        assert sorted(counted) == list(range(1, 81))

        def refused(connection: Connection) -> None:
            one_more(connection)
            raise KeyError("mine")

        ended = await asyncio.gather(
            one.write(put("a")), one.write(refused), one.write(put("a")), one.write(put("b\0")),
            return_exceptions=True,
        )  # fmt: skip
        assert [type(one) for one in ended] == [int, KeyError, Taken, int]  # of the others nothing is lost
        assert [await value(other, name) for name in ("count", "a", "b\ufffd")] == ["80", "", ""]

        def beside(_: Connection) -> str:
            raise NotBeside

        assert await one.write_beside(beside, lambda _: "alone") == "alone"
        with pytest.raises(Taken):
            await one.write_beside(put("a"), beside)

        def looks_twice(connection: Connection) -> tuple[str, str]:
            first = connection.execute(GET, {"name": "count"}).fetchone()["value"]
            asyncio.run_coroutine_threadsafe(other.write(one_more), loop).result()
            return first, connection.execute(GET, {"name": "count"}).fetchone()["value"]

        loop = asyncio.get_running_loop()
        assert await one.read(looks_twice) == ("80", "80")
        assert await value(one, "count") == "81"


async def test_no_two_pulls_get_the_same_job(database: OnServer) -> None:
    async with running_cluster(database) as one, running_cluster(database) as other:
        pushed = {await one.preview(tag=tag) for tag in ("a", "b") for _ in range(10)}
        pulls = [(one, other)[number % 2].cluster.jobs.pull(f"w{number}", ["a", "b"]) for number in range(24)]
        taken = [job.job_id for job in await asyncio.gather(*pulls) if job is not None]
        assert len(taken) == len(set(taken)) == 20
        assert set(taken) == pushed
        await one.preview(tag="a")
        await one.preview(tag="a")
        again = [bridge.cluster.jobs.pull("w", ["a"], "same request") for bridge in (one, other) * 4]
        assert len({job.job_id for job in await asyncio.gather(*again) if job is not None}) == 1


async def test_a_commit_whose_answer_is_lost_is_asked_for(
    database: OnServer, database_server: DatabaseServer
) -> None:
    address = urlsplit(database.url.reveal())
    name = address.path[1:]
    with (
        LinkProxy("127.0.0.1", address.port or 0) as link,
        psycopg.connect(database.url.reveal(), autocommit=True) as outside,
    ):
        outside.execute(SLOW_COMMIT)
        through = address._replace(netloc=address.netloc.replace(str(address.port), str(link.port))).geturl()

        async def at_commit() -> int:
            found = await until(lambda: outside.execute(AT_COMMIT, (name,)).fetchone(), within_s=30)
            return int(found[0])

        async with opened(replace(database, url=Secret(through))) as (store,):
            outside.execute("SELECT pg_advisory_lock(7, 7)")
            kept = asyncio.ensure_future(store.write(put("kept")))
            await at_commit()
            link.cut()
            link.restore()
            outside.execute("SELECT pg_advisory_unlock(7, 7)")
            assert await kept == 1
            assert await value(store, "kept") == ""

            outside.execute("SELECT pg_advisory_lock(7, 7)")
            ended = asyncio.ensure_future(store.write(put("ended")))
            outside.execute("SELECT pg_terminate_backend(%s)", (await at_commit(),))
            with pytest.raises(WriteFailed, match="Nothing was confirmed"):
                await ended
            assert await value(store, "ended") is None

        async with opened(replace(database, url=Secret(through), outcome_s=1.0)) as (store,):
            unknown = asyncio.ensure_future(store.write(put("unknown")))
            await at_commit()
            link.cut()
            with pytest.raises(OutcomeUnknown, match="may have been kept"):
                await unknown
            link.restore()
            outside.execute("SELECT pg_advisory_unlock(7, 7)")
            await until(lambda: outside.execute("SELECT 1 FROM setting WHERE name = 'unknown'").fetchone())


async def test_a_server_that_dies_is_waited_for(database: OnServer, database_server: DatabaseServer) -> None:
    async with running_cluster(database) as bridge:
        job_id = await bridge.preview()
        database_server.kill()
        with pytest.raises(WriteFailed):
            await bridge.store.write(put("lost"))
        with pytest.raises(ReadFailed):
            await value(bridge.store, "lost")
        for answer in (
            await bridge.admin.get(f"/api/w/main/jobs_u/get/{job_id}"),
            await bridge.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={}),
        ):
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        database_server.start()
        assert (await bridge.job(job_id))["type"] == "QueuedJob"
        assert await bridge.store.write(put("after")) == 1
        assert await value(bridge.store, "lost") is None
