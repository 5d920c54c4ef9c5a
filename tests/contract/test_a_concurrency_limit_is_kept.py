"""`concurrent_limit` of a script (openflow.md 2.5): never more than N of a key, and no place stays empty."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.jobs.model import Cancel, Completion, Pulled
from bridge.store.on_server import OnServer
from tests.support.cluster import Running, running_cluster

pytestmark = pytest.mark.on_both_stores

CREATE = "/api/w/main/scripts/create"
DONE = Completion(success=True, result=b"1")
NEWS_S = 10.0


async def deploy(cluster: Running, path: str = "f/a", **limits: Any) -> None:
    body = {"path": path, "content": "true", "language": "bash", "concurrent_limit": 1, **limits}
    answer = await cluster.admin.post(CREATE, json=body)
    assert answer.status_code == 201, answer.text


async def run(cluster: Running, path: str = "f/a", query: dict[str, Any] | None = None, **args: Any) -> str:
    answer = await cluster.admin.post(f"/api/w/main/jobs/run/p/{path}", json=args, params=query or {})
    assert answer.status_code == 201, answer.text
    return answer.text


async def pull(cluster: Running, *tags: str) -> Pulled | None:
    return await cluster.cluster.jobs.pull("ag-x-1", tags or ("bash",))


async def ids(cluster: Running, *tags: str) -> list[str]:
    """The jobs that can be handed out now."""
    pulled = []
    while (job := await pull(cluster, *tags)) is not None:
        pulled.append(job.job_id)
    return pulled


async def test_no_more_than_that_many_run_and_others_are_not_held_up(cluster: Running) -> None:
    await deploy(cluster, concurrent_limit=2)
    limited = [await run(cluster) for _ in range(4)]
    free = await cluster.preview()
    assert await ids(cluster) == [*limited[:2], free]
    for ended, follows in zip(limited, limited[2:], strict=False):
        await cluster.cluster.jobs.complete("main", ended, DONE)
        assert await ids(cluster) == [follows]


async def test_the_agent_api_says_the_limit(cluster: Running) -> None:
    await deploy(cluster, concurrency_time_window_s=60)
    await run(cluster)
    agent = await cluster.agent("bash")
    job = (await agent.post("/api/agent_workers/pull_job", json=None)).json()["job"]
    assert (job["concurrent_limit"], job["concurrency_time_window_s"]) == (1, 60)
    script = (await cluster.admin.get("/api/w/main/scripts/get/p/f/a")).json()
    names = ("concurrent_limit", "concurrency_time_window_s", "concurrency_key")
    assert [script[name] for name in names] == [1, 60, None]


async def test_a_place_is_taken_until_the_window_is_over(cluster: Running) -> None:
    await deploy(cluster, concurrency_time_window_s=60)
    first, second = await run(cluster), await run(cluster)
    assert await ids(cluster) == [first]
    cluster.clock.ahead_s += 30
    await cluster.cluster.jobs.complete("main", first, DONE)
    cluster.clock.ahead_s += 55
    assert await ids(cluster) == []
    cluster.clock.ahead_s += 10
    assert await ids(cluster) == [second]


async def test_a_key_is_made_of_the_arguments(cluster: Running) -> None:
    await deploy(cluster, concurrency_key="$workspace-till-$args[till]")
    await deploy(cluster, "f/b", concurrency_key="main-till-$args[till]")
    north, south = await run(cluster, till="north"), await run(cluster, till="south")
    again, other = await run(cluster, till="north"), await run(cluster, "f/b", till="south")
    assert await ids(cluster) == [north, south]
    await cluster.cluster.jobs.complete("main", south, DONE)
    assert await ids(cluster) == [other]
    await cluster.cluster.jobs.complete("main", north, DONE)
    assert await ids(cluster) == [again]


async def test_without_a_key_each_script_is_one(cluster: Running) -> None:
    await deploy(cluster)
    await deploy(cluster, "f/b")
    one, other = await run(cluster), await run(cluster, "f/b")
    assert await ids(cluster) == [one, other]


async def test_a_tag_that_nobody_serves_takes_no_turn(cluster: Running) -> None:
    await deploy(cluster, concurrency_key="db")
    running = await run(cluster)
    assert await ids(cluster) == [running]
    await run(cluster, query={"tag": "leaves", "priority": 9})
    follows = await run(cluster)
    assert await ids(cluster, "leaves", "bash") == []  # both are held back
    await cluster.cluster.jobs.complete("main", running, DONE)
    assert await ids(cluster) == [follows]


async def test_each_way_to_end_lets_the_next_one_in_at_once(cluster: Running) -> None:
    await deploy(cluster)
    jobs = cluster.cluster.jobs

    async def by_result(job_id: str) -> None:
        await jobs.complete("main", job_id, Completion(success=False, result=b"1"))

    async def by_force(job_id: str) -> None:
        await jobs.cancel("main", job_id, "admin", None, Cancel.FORCED)

    async def by_silence(job_id: str) -> None:
        cluster.clock.ahead_s += 61
        assert await jobs.sweep_zombies(60) == 1
        assert (await cluster.job(job_id))["type"] == "CompletedJob"

    running = await run(cluster, query={"replace": "never"})
    assert await ids(cluster) == [running]
    for end in (by_result, by_force, by_silence):
        follows = await run(cluster, query={"replace": "never"})
        assert await ids(cluster) == []
        await jobs.wait_for_push(0)
        await end(running)
        async with asyncio.timeout(NEWS_S):
            await jobs.wait_for_push(3600)
        assert await ids(cluster) == [follows]
        running = follows


async def test_the_end_of_a_window_wakes_whoever_waits(cluster: Running) -> None:
    await deploy(cluster, concurrency_time_window_s=1)
    first, second = await run(cluster), await run(cluster)
    assert await ids(cluster) == [first]
    await cluster.cluster.jobs.complete("main", first, DONE)
    await cluster.cluster.jobs.wait_for_push(0)
    async with asyncio.timeout(NEWS_S):
        await cluster.cluster.jobs.wait_for_push(3600)
    assert await ids(cluster) == [second]


async def test_one_that_was_let_in_and_then_cancelled_passes_its_turn_on(cluster: Running) -> None:
    await deploy(cluster)
    first, second, third = [await run(cluster) for _ in range(3)]
    assert await ids(cluster) == [first]
    await cluster.cluster.jobs.complete("main", first, DONE)
    await cluster.cluster.jobs.cancel("main", second, "admin", None)
    assert await ids(cluster) == [third]


async def test_a_lost_job_keeps_its_place_until_it_is_over(cluster: Running) -> None:
    await deploy(cluster)
    lost = await run(cluster)
    assert await ids(cluster) == [lost]
    follows = await run(cluster, query={"priority": 9})
    cluster.clock.ahead_s += 61
    assert await cluster.cluster.jobs.sweep_zombies(60) == 1
    assert await ids(cluster) == [lost]  # again, and before the better one
    await cluster.cluster.jobs.complete("main", lost, DONE)
    assert await ids(cluster) == [follows]


async def test_the_limit_outlives_the_process(cluster: Running, store_place: Path | OnServer) -> None:
    await deploy(cluster, concurrency_time_window_s=60)
    first, second, third = [await run(cluster) for _ in range(3)]
    assert await ids(cluster) == [first]
    await cluster.store.close()
    async with running_cluster(store_place) as restarted:
        assert await ids(restarted) == []
        await restarted.cluster.jobs.complete("main", first, DONE)
        restarted.clock.ahead_s = 61
        assert await ids(restarted) == [second]
        assert (await restarted.job(third))["type"] == "QueuedJob"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("rpec"), st.integers(0, 7)), max_size=60))
def test_no_order_of_events_breaks_it_or_leaves_a_place_empty(
    tmp_path_factory: Any, events: list[tuple[str, int]]
) -> None:
    asyncio.run(_history(tmp_path_factory.mktemp("history"), events))


async def _history(folder: Path, events: list[tuple[str, int]]) -> None:
    """r: run, p: pull, e: end what runs, c: cancel what waits."""
    async with running_cluster(folder) as cluster:
        await deploy(cluster, concurrent_limit=2)
        waiting: list[str] = []
        running: list[str] = []
        for event, which in events:
            if event == "r":
                waiting.append(await run(cluster))
            elif event == "p":
                job = await pull(cluster)
                assert (job is None) == (not waiting or len(running) == 2), (waiting, running)
                if job is not None:
                    waiting.remove(job.job_id)
                    running.append(job.job_id)
            elif event == "c" and waiting:
                await cluster.cluster.jobs.cancel("main", waiting.pop(which % len(waiting)), "admin", None)
            elif event == "e" and running:
                await cluster.cluster.jobs.complete("main", running.pop(which % len(running)), DONE)
