"""An agent over HTTP says what it runs; a job of another language waits for whoever runs it."""

import asyncio

import httpx
import pytest

from tests.support.cluster import Running
from tests.support.until import until

pytestmark = pytest.mark.on_both_stores

PULL = "/api/agent_workers/pull_job"


async def pull(agent: httpx.AsyncClient, languages: str | None, wait_s: int = 0) -> str | None:
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    params = {} if languages is None else {"languages": languages}
    response = await agent.post(PULL, content=b"null", params=params, headers=headers)
    assert response.status_code == 200
    pulled = response.json()
    return None if pulled is None else str(pulled["job"]["id"])


async def test_what_an_agent_does_not_run_is_left_for_another(cluster: Running) -> None:
    first = await cluster.preview(priority=9)
    second = await cluster.preview("def main(): pass", language="python3")
    agent = await cluster.agent("bash", "python3")
    assert await pull(agent, "python3,b%75n") == second
    assert await pull(agent, "python3,bash2,%25") is None
    assert await pull(agent, "bun,bash") == first
    third = await cluster.preview()
    assert await pull(agent, None) == third  # an agent of an older release says nothing of languages


async def test_a_tag_is_not_empty_while_another_may_run_what_is_there(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    await cluster.preview()
    agent = await cluster.agent("bash")
    assert await pull(agent, "bun") is None
    assert "bash" not in jobs.empty_tags
    assert await pull(agent, "bash") is not None
    assert await pull(agent, "bun") is None
    assert "bash" in jobs.empty_tags


async def test_news_is_passed_on_to_whoever_runs_it(cluster: Running) -> None:
    """The one that has waited longest cannot run it, and tells the next in line."""
    able = await cluster.agent("bash", suffix="b")
    waiting = []
    for suffix, languages in (("a", "bun"), ("c", "deno"), ("b", "bash")):
        agent = able if suffix == "b" else await cluster.agent("bash", suffix=suffix)
        waiting.append(asyncio.ensure_future(pull(agent, languages, wait_s=20)))
        await until(lambda: len(cluster.cluster.jobs._arrivals._lines.get("bash", ())) == len(waiting))
    job_id = await cluster.preview()
    async with asyncio.timeout(5):
        assert await waiting[2] == job_id
    assert not waiting[0].done()
    assert not waiting[1].done()
    for one in waiting[:2]:
        one.cancel()
    await asyncio.wait(waiting)
