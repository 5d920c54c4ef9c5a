"""Status map of agent-api.md section 2, and limits; the text says what is wrong, never what is inside."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from bridge.web.asgi import BODY_MAX_BYTES, build
from bridge.web.described import Described
from tests.support.cluster import Running, client_of, served


def assert_text(response: httpx.Response, status: int, told: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert told in response.text


async def test_the_status_map(cluster: Running) -> None:
    anonymous = cluster.client(None)
    assert_text(await anonymous.get("/api/w/main/jobs/list"), 401, "Authorization: Bearer")
    assert_text(await cluster.client("nonsense").get("/api/w/main/jobs/list"), 401, "Unauthorized")
    assert_text(await cluster.admin.get("/api/w/nowhere/jobs/list"), 404, "workspace 'nowhere' not found")
    assert_text(await cluster.admin.get("/api/w/main/jobs_u/get/seven"), 404, "job seven not found")
    assert_text(await cluster.admin.get("/api/nothing"), 404, "Not Found")
    assert_text(await cluster.admin.delete("/api/w/main/jobs/list"), 405, "Method Not Allowed")
    broken = await cluster.admin.post("/api/w/main/jobs/run/preview", content=b"{")
    assert_text(broken, 400, "the body is not JSON")


async def test_a_bug_of_ours_shows_nothing_of_the_inside() -> None:
    async def fails(_: Request) -> Response:
        raise RuntimeError("the secret is 42")

    response = await client_of(build([Described("GET", "/api/fails", fails)]), None).get("/api/fails")
    assert_text(response, 500, "internal error")
    assert "42" not in response.text


@pytest.mark.parametrize("length", ["declared", "chunked"])
async def test_a_body_over_16_mib_is_413(cluster: Running, length: str) -> None:
    body = b'{"language": "bash", "content": "' + b"x" * BODY_MAX_BYTES + b'"}'
    async with served(cluster.app) as url, httpx.AsyncClient(headers=cluster.admin.headers) as client:
        request = client.build_request(
            "POST",
            f"{url}/api/w/main/jobs/run/preview",
            content=body if length == "declared" else unsized(body),
        )
        assert_text(await client.send(request), 413, "Content Too Large")


async def unsized(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


async def test_a_result_may_be_larger(cluster: Running) -> None:
    job_id = await cluster.preview()
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job", content=b"null")
    result = "x" * (BODY_MAX_BYTES + 1)
    sent = await agent.post(
        f"/api/w/main/agent_workers/send_result/{job_id}", json={"success": True, "result": result}
    )
    assert sent.content == b'"recorded"'
    recorded = await cluster.admin.get(f"/api/w/main/jobs_u/completed/get_result/{job_id}")
    assert recorded.json() == result
