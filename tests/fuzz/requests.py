"""The embedded cluster's HTTP interface: whatever is asked, the answer is no 5xx, and an error is text."""

import asyncio
import itertools
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote, unquote

import httpx
from starlette.types import ASGIApp, Message

from bridge.web.described import Described
from tests.fuzz.mutation import damaged, reshaped
from tests.fuzz.watching import Watching
from tests.support.cluster import Running, running_cluster

LIVES: Final = 5_000  # requests to one cluster; the next one begins with an empty store
ANSWERS_S: Final = 60.0
WAITS: Final = ("run_wait_result", "run_inline")  # they may wait for a job as long as it takes
WORDS: Final = (
    "x",
    "%00",
    "%FF",
    "-1",
    "9" * 30,
    "%F0%9F%98%80",
    "..%2F..%2Fx",
    "u/admin/x",
    "",
    "main",
    "é" * 99,
)
VALUES: Final = (
    "",
    "x",
    "-1",
    "\0",
    "9" * 30,
    "1e400",
    "true",
    "2030-01-01T00:00:00",
    "NaN",
    "x" * 5000,
    "\ud800",
)
BEARERS: Final = (
    b"",
    b"Bearer",
    b"Bearer \xff",
    b"Basic x",
    b"Bearer jwt_agent_",
    b"Bearer jwt_agent_a_eyJ.eyJ.x",
)

HEADERS: Final = (
    "host",
    "idempotency-key",
    "content-type",
    "content-length",
    "x-forwarded-for",
    "cookie",
    "accept",
)
ODD_HEADERS: Final = (b"", b"[", b"\xff", b"x" * 70_000, b"-1", b"9" * 30, b"gzip", b"a\0b")


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str  # percent-encoded
    query: tuple[tuple[str, str], ...]
    headers: dict[str, bytes]
    body: bytes


def fuzz(seed: int, watching: Watching) -> None:
    for first in range(0, watching.count, LIVES):
        numbers = range(first, min(first + LIVES, watching.count))
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_life(seed, numbers, Path(folder), watching))


async def _life(seed: int, numbers: range, folder: Path, watching: Watching) -> None:
    async with running_cluster(folder) as cluster:
        true = await _day(cluster)
        routes = [route for route in cluster.cluster.routes if isinstance(route, Described)]
        for number in numbers:
            draw = Random(f"{seed} requests {number}")  # noqa: S311 a case from a seed, no secret
            asked = _mutated(draw, draw.choice(true), routes)
            if any(word in asked.path for word in WAITS):
                continue
            what = f"case {number}: {asked.method} {asked.path[:100]}"
            with watching.step(what):
                async with asyncio.timeout(ANSWERS_S):
                    status, kind, body = await _answered(cluster.app, asked)
                watching.outcomes[str(status)] += 1
                if status >= 500 or (status >= 400 and not kind.startswith("text/plain")):
                    watching.violation(
                        f"crash: {what} {asked.query} {asked.body[:200]!r}: {status} {body[:200]!r}"
                    )


async def _day(cluster: Running) -> list[Asked]:
    """What people and an agent ask on an ordinary day, as it was sent."""
    heard: list[Asked] = []
    agent = await cluster.agent("bash")

    async def hear(request: httpx.Request) -> None:
        heard.append(
            Asked(
                request.method,
                request.url.raw_path.decode().partition("?")[0],
                tuple(request.url.params.multi_items()),
                {"authorization": request.headers["authorization"].encode()},
                request.content,
            )
        )

    for client in (cluster.admin, agent):
        client.event_hooks["request"].append(hear)
    await _people(cluster.admin)
    await cluster.preview("echo hi", delivery="at_most_once", priority=3, timeout=60)
    pulled = (await agent.post("/api/agent_workers/pull_job", json=None)).json()["job"]["id"]
    await _work(agent, pulled)
    for path in ("get", "completed/get_result", "completed/get_result_maybe", "get_logs", "getupdate"):
        await cluster.admin.get(f"/api/w/main/jobs_u/{path}/{pulled}")
    return heard


async def _people(admin: httpx.AsyncClient) -> None:
    resource = {"path": "f/a/r", "value": {"host": "$var:f/a/v"}, "resource_type": "shop"}
    for path, body in (
        (
            "/api/w/main/scripts/create",
            {"path": "f/a/s", "content": "echo", "language": "bash", "tag": "t-$args[n]"},
        ),
        ("/api/w/main/jobs/run/p/f/a/s", {"n": 7, "r": "$res:f/a/r"}),
        (
            "/api/w/main/variables/create",
            {"path": "f/a/v", "value": "x", "is_secret": True, "description": ""},
        ),
        ("/api/w/main/variables/update/f/a/v", {"value": "y"}),
        (
            "/api/w/main/resources/type/create",
            {"name": "shop", "schema": {"type": "object"}, "description": ""},
        ),
        ("/api/w/main/resources/create", resource),
        ("/api/w/main/resources/update/f/a/r", {"value": [1, {"a": None}]}),
        (
            "/api/agent_workers/create_agent_token",
            {"worker_group": "pos", "tags": ["bash"], "exp": time.time() // 1 + 60},
        ),
        ("/api/users/tokens/create", {"label": "x", "expiration": "2040-01-01T00:00:00Z"}),
    ):
        await admin.post(path, json=body)
    for path in (
        "jobs/list",
        "jobs/queue/list",
        "jobs/queue/count",
        "scripts/list",
        "variables/list",
        "resources/list",
    ):
        await admin.get(f"/api/w/main/{path}", params={"page": 1, "per_page": 10})
    await admin.get("/api/workers/list", params={"ping_since": 10})


async def _work(agent: httpx.AsyncClient, job_id: str) -> None:
    for path, body in (
        (
            "/api/agent_workers/update_ping",
            {"ping_type": "MainLoop", "vcpus": 4, "occupancy_rate": 0.5, "tags": ["bash"]},
        ),
        (f"/api/agent_workers/ping_job_status/{job_id}", {"mem_peak": 7, "current_mem": None}),
        (f"/api/w/main/agent_workers/push_logs/{job_id}?offset=0&writer=w", "a line\n"),
        (f"/api/w/main/agent_workers/push_result_stream/{job_id}", {"result_stream": "x", "offset": 0}),
        (
            f"/api/w/main/agent_workers/send_result/{job_id}",
            {"success": True, "result": {"n": [1]}, "duration": 5},
        ),
        ("/api/agent_workers/queue_init_job", {"content": "echo"}),
    ):
        await agent.post(path, json=body)


def _mutated(draw: Random, true: Asked, routes: list[Described]) -> Asked:
    asked = true
    for _ in range(draw.choice((1, 1, 2, 3))):
        asked = draw.choice(MUTATIONS)(draw, asked, routes)
    return asked


def _other_route(draw: Random, asked: Asked, routes: list[Described]) -> Asked:
    route = draw.choice(routes)
    path = route.path.replace(":path}", "}").replace("{workspace}", "main")
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + draw.choice(WORDS) + rest.partition("}")[2]
    return replace(asked, method=route.method, path=path)


def _other_word(draw: Random, asked: Asked, _: list[Described]) -> Asked:
    words = asked.path.split("/")
    words[draw.randrange(len(words))] = draw.choice(WORDS)
    return replace(asked, path="/".join(words))


def _other_query(draw: Random, asked: Asked, routes: list[Described]) -> Asked:
    described = draw.choice(routes).query
    names = [name for name, _ in asked.query] or list(getattr(described, "__struct_fields__", ("x",)))
    return replace(asked, query=(*asked.query, (draw.choice(names), draw.choice(VALUES))))


def _other_bytes(draw: Random, asked: Asked, _: list[Described]) -> Asked:
    return replace(asked, body=damaged(draw, asked.body))


def _other_json(draw: Random, asked: Asked, _: list[Described]) -> Asked:
    try:
        tree = reshaped(draw, json.loads(asked.body))
        return replace(asked, body=json.dumps(tree, default=repr, skipkeys=True).encode())
    except (ValueError, RecursionError):
        return replace(asked, body=b"[" * 100_000)


def _other_sender(draw: Random, asked: Asked, _: list[Described]) -> Asked:
    bearer = draw.choice((*BEARERS, damaged(draw, asked.headers["authorization"])))
    more = {draw.choice(HEADERS): draw.choice(ODD_HEADERS)}
    return replace(asked, headers=asked.headers | draw.choice(({"authorization": bearer}, more)))


MUTATIONS: Final = (
    _other_route,
    _other_word,
    _other_query,
    _other_bytes,
    _other_json,
    _other_json,
    _other_sender,
)


async def _answered(app: ASGIApp, asked: Asked) -> tuple[int, str, bytes]:
    """Status, content type, body. As uvicorn hands it over, without a client that would refuse to send it."""
    query = "&".join(f"{quote(name)}={quote(value, errors='surrogatepass')}" for name, value in asked.query)
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": asked.method,
        "scheme": "http",
        "path": unquote(asked.path), "raw_path": asked.path.encode(), "query_string": query.encode(),
        "root_path": "", "headers": [(name.encode(), value) for name, value in asked.headers.items()],
        "client": ("127.0.0.1", 1), "server": ("cluster.test", 80),
    }  # fmt: skip
    came = itertools.chain(
        [{"type": "http.request", "body": asked.body, "more_body": False}],
        itertools.repeat({"type": "http.disconnect"}),
    )
    said: list[Message] = []

    async def receive() -> Message:
        return next(came)

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    start, *rest = said
    kind = dict(start["headers"]).get(b"content-type", b"").decode()
    return start["status"], kind, b"".join(one.get("body", b"") for one in rest)
