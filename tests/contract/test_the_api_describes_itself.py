"""GET /api/openapi.json is made from the routes and their structs."""

import re

from starlette.routing import Route

from tests.support.cluster import Running


async def test_every_route_is_in_it_with_a_summary(cluster: Running) -> None:
    description = (await cluster.client(None).get("/api/openapi.json")).json()
    assert description["openapi"].startswith("3.1")
    for route in cluster.cluster.routes:
        assert isinstance(route, Route)
        operations = description["paths"][re.sub(r":path\}", "}", route.path)]
        for operation in operations.values():
            assert operation["summary"], route.path
    names = [
        operation["operationId"] for path in description["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names))


async def test_every_reference_in_it_leads_somewhere(cluster: Running) -> None:
    text = (await cluster.client(None).get("/api/openapi.json")).text
    schemas = (await cluster.client(None).get("/api/openapi.json")).json()["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(schemas)


async def test_a_run_is_described(cluster: Running) -> None:
    description = (await cluster.client(None).get("/api/openapi.json")).json()
    run = description["paths"]["/api/w/{workspace}/jobs/run/preview"]["post"]
    assert {"workspace", "tag", "delivery", "scheduled_in_secs"} <= {p["name"] for p in run["parameters"]}
    assert list(run["responses"]["201"]["content"]) == ["text/plain"]
    assert run["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Preview"
    }
