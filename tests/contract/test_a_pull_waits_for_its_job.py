"""`Prefer: wait=<seconds>`: an idle agent asks twice a minute and learns of a job at once."""

import asyncio

import httpx

from tests.support.cluster import Running, served
from tests.support.until import until

PULL = "/api/agent_workers/pull_job"
LONG = {"Prefer": "wait=50"}
SOON_S = 10.0


def pulling(agent: httpx.AsyncClient, **headers: str) -> "asyncio.Task[httpx.Response]":
    return asyncio.ensure_future(agent.post(PULL, headers=LONG | headers, timeout=60))


async def waiting(cluster: Running, tag: str, agents: int) -> None:
    """Returns when so many stand in the tag's line."""
    lines = cluster.cluster.jobs._arrivals._lines
    await until(lambda: len(lines.get(tag, ())) == agents)


async def test_a_push_is_answered_at_once(cluster: Running) -> None:
    pull = pulling(await cluster.agent("bash"))
    await waiting(cluster, "bash", 1)
    job = await cluster.preview()
    async with asyncio.timeout(SOON_S):
        assert (await pull).json()["job"]["id"] == job


async def test_the_wait_ends_with_null(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.post(PULL, headers={"Prefer": "wait=1"})).content == b"null"


async def test_a_job_that_becomes_due_is_handed_out(cluster: Running) -> None:
    job = await cluster.preview(scheduled_in_secs=1)
    async with asyncio.timeout(SOON_S):
        assert (await pulling(await cluster.agent("bash"))).json()["job"]["id"] == job


async def test_of_many_who_wait_each_gets_one(cluster: Running) -> None:
    agents = [await cluster.agent("bash", suffix=f"till-{number}") for number in range(5)]
    pulls = [pulling(agent) for agent in agents]
    await waiting(cluster, "bash", 5)
    jobs = {await cluster.preview() for _ in agents}
    async with asyncio.timeout(SOON_S):
        assert {(await pull).json()["job"]["id"] for pull in pulls} == jobs


async def test_many_jobs_that_come_in_one_moment_wake_many(cluster: Running) -> None:
    jobs = {await cluster.preview() for _ in range(3)}
    for _ in jobs:
        await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    pulls = [pulling(await cluster.agent("bash", suffix=f"till-{number}")) for number in range(3)]
    await waiting(cluster, "bash", 3)
    assert await cluster.cluster.jobs.put_back("ag-x-1", frozenset()) == 3
    async with asyncio.timeout(SOON_S):
        assert {(await pull).json()["job"]["id"] for pull in pulls} == jobs


async def test_who_hangs_up_gets_no_job(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    other = await cluster.agent("bash", suffix="other-q1w2e")
    async with served(cluster.app) as url, httpx.AsyncClient(base_url=url, headers=agent.headers) as gone:
        pull = pulling(gone)
        await waiting(cluster, "bash", 1)
        pull.cancel()
        await waiting(cluster, "bash", 0)
    job = await cluster.preview()
    assert (await other.post(PULL)).json()["job"]["id"] == job


async def test_only_the_tags_that_are_asked_for(cluster: Running) -> None:
    jobs = {tag: await cluster.preview(tag=tag) for tag in ("a,b%", "c")}
    agent = await cluster.agent("a,b%", "c", "d")
    assert (await agent.post(PULL, params={"tags": "c,stranger"})).json()["job"]["id"] == jobs["c"]
    assert (await agent.post(PULL, params={"tags": "d"})).content == b"null"
    assert (await agent.post(PULL, params={"tags": "a%2Cb%25"})).json()["job"]["id"] == jobs["a,b%"]


async def test_a_strangers_tag_is_not_reached_by_asking(cluster: Running) -> None:
    await cluster.preview(tag="theirs")
    agent = await cluster.agent("ours")
    assert (await agent.post(PULL, params={"tags": "theirs"})).content == b"null"
