"""Progress, streamed result, arguments and times of one job, beside its record (agent-api.md 8.2, 8.5)."""

import httpx
import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

ALL = "/api/agent_workers"
IN = "/api/w/main"


async def running_job(cluster: Running) -> tuple[str, httpx.AsyncClient]:
    job_id = await cluster.preview(args={"x": 1})
    agent = await cluster.agent("bash")
    await agent.post(f"{ALL}/pull_job", json=None)
    return job_id, agent


async def test_progress(cluster: Running) -> None:
    job_id, _ = await running_job(cluster)
    at, update = f"{IN}/job_metrics", f"{IN}/jobs_u/getupdate/{job_id}"
    assert (await cluster.admin.get(f"{at}/get_progress/{job_id}")).content == b"null"
    body = {"percent": 40, "flow_job_id": None}
    assert (await cluster.admin.post(f"{at}/set_progress/{job_id}", json=body)).content == b"null"
    assert (await cluster.admin.get(f"{at}/get_progress/{job_id}")).content == b"40"
    assert (await cluster.admin.get(update, params={"get_progress": "true"})).json()["progress"] == 40
    assert "progress" not in (await cluster.admin.get(update)).json()
    too_far = await cluster.admin.post(f"{at}/set_progress/{job_id}", json={"percent": 101})
    assert too_far.status_code == 400
    assert (await cluster.admin.get(f"{at}/get_progress/none")).status_code == 404


async def test_a_streamed_piece_that_comes_twice_is_there_once(cluster: Running) -> None:
    job_id, agent = await running_job(cluster)
    push = f"{IN}/agent_workers/push_result_stream/{job_id}"
    for offset, text in ((0, "a"), (1, "b\n"), (1, "b\n"), (2, "ü"), (2, "ü")):
        pushed = await agent.post(push, json={"result_stream": text, "offset": offset})
        assert (pushed.status_code, pushed.content) == (200, b'"ok"')
    update = f"{IN}/jobs_u/getupdate/{job_id}"
    for offset, text in ((0, "ab\nü"), (3, "ü"), (4, "")):
        found = (await cluster.admin.get(update, params={"stream_offset": offset})).json()
        assert (found["new_result_stream"], found["stream_offset"]) == (text, 4)


async def test_a_stranger_streams_into_no_job(cluster: Running) -> None:
    job_id, _ = await running_job(cluster)
    stranger = await cluster.agent("python3", suffix="other-q1w2e")
    push = f"{IN}/agent_workers/push_result_stream/{job_id}"
    assert (await stranger.post(push, json={"result_stream": "x", "offset": 0})).status_code == 404  # I4


async def test_the_rest(cluster: Running) -> None:
    job_id, agent = await running_job(cluster)
    watch = f"{IN}/jobs_u"
    assert (await cluster.admin.get(f"{watch}/get_root_job_id/{job_id}")).json() == job_id
    assert (await cluster.admin.get(f"{watch}/get_args/{job_id}")).json() == {"x": 1}
    assert (await cluster.admin.get(f"{IN}/jobs/worker_is_draining/{job_id}")).content == b"false"
    assert (await cluster.admin.get(f"{watch}/completed/get_timing/{job_id}")).status_code == 404
    done = {"success": True, "result": 1, "duration": 1234}
    await agent.post(f"{IN}/agent_workers/send_result/{job_id}", json=done)
    timing = (await cluster.admin.get(f"{watch}/completed/get_timing/{job_id}")).json()
    assert (set(timing), timing["duration_ms"]) == ({"created_at", "started_at", "duration_ms"}, 1234)
    late = await cluster.admin.post(f"{IN}/job_metrics/set_progress/{job_id}", json={"percent": 1})
    assert late.status_code == 400
    for path in ("jobs_u/get_root_job_id", "jobs_u/get_args", "jobs/worker_is_draining"):
        assert (await cluster.admin.get(f"{IN}/{path}/none")).status_code == 404
