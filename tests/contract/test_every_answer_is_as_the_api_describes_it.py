"""What `/api/openapi.json` says of an endpoint holds for whatever is sent: status, media type, shape."""

import asyncio
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.cluster import Running, served

EXAMPLES = 5  # of each endpoint, for each sender
WAITS = re.compile("run_wait_result|run_inline|run/dependencies$")  # they wait for a job as long as it takes
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ASKED = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def there(cluster: Running) -> dict[str, str]:
    """A name for every kind of thing in a path, of one that is there."""
    admin, into = cluster.admin, "/api/w/main"
    script = {"path": "f/a/x", "content": "echo", "language": "bash"}
    made = await admin.post(f"{into}/scripts/create", json=script)
    await admin.post(f"{into}/variables/create", json={"path": "f/a/x", "value": "v"})
    await admin.post(f"{into}/resources/type/create", json={"name": "shop", "schema": {"type": "object"}})
    resource = {"path": "f/a/x", "value": {"n": 1}, "resource_type": "shop"}
    await admin.post(f"{into}/resources/create", json=resource)
    agent = await cluster.agent("bash")
    job_id = await cluster.preview()
    await agent.post("/api/agent_workers/pull_job")
    await agent.post(f"{into}/agent_workers/push_logs/{job_id}", json="a line\n")
    result = {"success": True, "result": {"n": 1}}
    await agent.post(f"{into}/agent_workers/send_result/{job_id}", json=result)
    return {
        "workspace": "main", "job_id": job_id, "hash": made.text, "path": "f/a/x", "name": "shop",
        "username": "admin", "key": "base_url",
    }  # fmt: skip


def ask(url: str, bearer: str, names: dict[str, str]) -> int:
    """Every endpoint, with what fits its description and what does not; how many there were."""
    operations = [
        found.ok() for found in schemathesis.openapi.from_url(f"{url}/api/openapi.json").get_all_operations()
    ]
    for operation in operations:
        if not WAITS.search(operation.path):
            ask_one(operation, bearer, names)
    return len(operations)


def ask_one(operation: APIOperation, bearer: str, names: dict[str, str]) -> None:
    known = {name: names[name] for name in re.findall(r"\{(\w+)\}", operation.path) if name in names}
    cases = [
        operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known or None),
        operation.as_strategy(GenerationMode.POSITIVE),
        operation.as_strategy(GenerationMode.NEGATIVE),
    ]

    @ASKED
    @given(st.one_of(cases))
    def as_described(case: Case) -> None:
        case.call_and_validate(headers={"Authorization": bearer}, checks=CHECKS)

    as_described()


@pytest.mark.parametrize("who", ["superadmin", "agent"])
async def test_whatever_is_asked(cluster: Running, who: str) -> None:
    client = cluster.admin if who == "superadmin" else await cluster.agent("bash")
    names = await there(cluster)
    async with served(cluster.app) as url:
        asked = await asyncio.to_thread(ask, url, client.headers["Authorization"], names)
    assert asked == sum(len(route.methods - {"HEAD"}) for route in cluster.cluster.routes)
