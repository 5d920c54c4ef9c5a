"""A job's text arrives once, in order, gaps marked (I5)."""

import pytest

from bridge.jobs.joblog import LIMIT_MARK, LOG_MAX_CHARS
from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores


async def logs(cluster: Running, job_id: str) -> str:
    response = await cluster.admin.get(f"/api/w/main/jobs_u/get_logs/{job_id}")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return response.text


async def test_repeated_and_overlapping_pieces(cluster: Running) -> None:
    job_id = await cluster.preview()
    for offset, text in ((0, "one\n"), (0, "one\n"), (4, "two\n"), (2, "e\ntwo\nthree\n"), (4, "two\n")):
        await cluster.cluster.jobs.append_log("main", job_id, text, writer="a/1", offset=offset)
    assert await logs(cluster, job_id) == "one\ntwo\nthree\n"


async def test_each_writer_has_its_own_offset(cluster: Running) -> None:
    job_id = await cluster.preview()
    append = cluster.cluster.jobs.append_log
    await append("main", job_id, "first life\n", writer="a/1", offset=0)
    await append("main", job_id, "second life\n", writer="a/2", offset=0)
    await append("main", job_id, "second life\n", writer="a/2", offset=0)
    assert await logs(cluster, job_id) == "first life\nsecond life\n"


async def test_a_gap_is_marked(cluster: Running) -> None:
    job_id = await cluster.preview()
    append = cluster.cluster.jobs.append_log
    await append("main", job_id, "ab", writer="a/1", offset=0)
    await append("main", job_id, "yz", writer="a/1", offset=24)
    await append("main", job_id, "cd", writer="a/1", offset=2)
    assert await logs(cluster, job_id) == "ab\n[... 22 characters dropped: lost on the way ...]\nyz"


async def test_what_a_text_cannot_hold_is_left_out_and_still_counted(cluster: Running) -> None:
    job_id = await cluster.preview()
    append = cluster.cluster.jobs.append_log
    await append("main", job_id, "a\0\ud800", writer="a/1", offset=0)
    await append("main", job_id, "é", writer="a/1", offset=3)
    assert await logs(cluster, job_id) == "a?é"


async def test_over_http_with_and_without_an_offset(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    push = f"/api/w/main/agent_workers/push_logs/{job_id}"
    for params in ({}, {}, {"offset": 0}, {"offset": 0}):
        assert (await agent.post(push, json="x\n", params=params)).content == b'"ok"'
    assert await logs(cluster, job_id) == "x\nx\nx\n"


async def test_getupdate_gives_what_is_new(cluster: Running) -> None:
    job_id = await cluster.preview()
    append = cluster.cluster.jobs.append_log
    await append("main", job_id, "oné\n")
    await append("main", job_id, "two\n")
    update = f"/api/w/main/jobs_u/getupdate/{job_id}"
    for offset, text in ((0, "oné\ntwo\n"), (2, "é\ntwo\n"), (4, "two\n"), (6, "o\n"), (8, ""), (99, "")):
        found = (await cluster.admin.get(update, params={"log_offset": offset, "running": "false"})).json()
        assert found == {
            "running": False, "completed": False, "new_logs": text, "log_offset": 8, "mem_peak": None
        }  # fmt: skip


async def test_the_text_of_one_job_is_bounded(cluster: Running) -> None:
    job_id = await cluster.preview()
    append = cluster.cluster.jobs.append_log
    await append("main", job_id, "x" * (LOG_MAX_CHARS - 1))
    for _ in range(3):
        await append("main", job_id, "yyy")
    found = await logs(cluster, job_id)
    assert found[LOG_MAX_CHARS - 2 :] == f"xy{LIMIT_MARK}"
