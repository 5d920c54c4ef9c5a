"""Whatever is sent to any endpoint, the answer is no 5xx, and an error is text."""

import re
from collections.abc import Iterator

import httpx
import msgspec
import pytest

from bridge.web.described import Described
from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

WAITS = re.compile("run_wait_result|run_inline|run/dependencies$")  # they wait for a job as long as it takes
DEEP = b"[" * 3000 + b"]" * 3000
BODIES = [b"", b"null", b"[]", b"{}", b"true", b"1e999", b'"x"', b"\xff\xfe", b'{"a":', DEEP, b'{"a":NaN}']
VALUES = [
    b"null", b'""', b'"\\u0000"', b'"\\ud800"', b"-1", b"1e400", b"99999999999999999999", b"[]", b"{}",
    b'"2030-01-01T00:00:00Z"', b'"u/a/b"', b"true", DEEP,
]  # fmt: skip
WORDS = ["x", "%00", "%ff", "-1", "99999999999999999999", "%F0%9F%98%80", "..%2f..%2fx", "u/admin/x"]


def routes(cluster: Running) -> list[Described]:
    return [route for route in cluster.cluster.routes if isinstance(route, Described)]


def bodies_of(route: Described) -> Iterator[bytes]:
    yield from BODIES
    kind = route.takes
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = [field.encode_name for field in msgspec.structs.fields(kind)]
        for value in VALUES:
            yield b"{" + b",".join(b'"' + name.encode() + b'":' + value for name in fields) + b"}"
        for name in fields:
            for value in VALUES:
                rest = b"".join(b',"' + other.encode() + b'":"bash"' for other in fields if other != name)
                yield b'{"' + name.encode() + b'":' + value + rest + b"}"


def paths_of(route: Described) -> Iterator[str]:
    for word in WORDS:
        path = route.path.replace(":path}", "}").replace("{workspace}", "main")
        while "{" in path:
            start, end = path.index("{"), path.index("}")
            path = path[:start] + word + path[end + 1 :]
        yield path


def judged(answer: httpx.Response, route: Described, sent: object) -> None:
    assert answer.status_code < 500, (route.path, sent, answer.text[:200])
    if answer.status_code >= 400:
        assert answer.headers["content-type"].startswith("text/plain"), (route.path, sent)


@pytest.mark.parametrize("who", ["admin", "agent"])
async def test_bodies_and_paths(cluster: Running, who: str) -> None:
    client = cluster.admin if who == "admin" else await cluster.agent("bash")
    for route in routes(cluster):
        if WAITS.search(route.path):
            continue  # what they push may run for ever; they read their input as jobs/run does
        for path in paths_of(route):
            judged(await client.request(route.method, path), route, path)
        if route.takes is not None:
            path = next(paths_of(route))
            for body in bodies_of(route):
                judged(await client.request(route.method, path, content=body), route, body[:200])


async def test_queries(cluster: Running) -> None:
    for route in routes(cluster):
        if route.query is None or WAITS.search(route.path):
            continue
        for field in msgspec.structs.fields(route.query):
            for value in (
                "",
                "x",
                "-1",
                "\0",
                "99999999999999999999",
                "1e400",
                "true",
                "2030-01-01T00:00:00",
            ):
                path = next(paths_of(route))
                content = b'{"content":"x","language":"bash"}'
                answer = await cluster.admin.request(
                    route.method, path, params={field.encode_name: value}, content=content
                )
                judged(answer, route, (field.encode_name, value))
