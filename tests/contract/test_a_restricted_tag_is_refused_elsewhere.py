"""CUSTOM_TAGS says which workspaces may use a tag (agent-api.md 4.3); it holds when run and when deployed."""

import pytest

from bridge.jobs.tag_rules import TagRules
from bridge.web.asgi import build
from bridge.web.cluster import open_cluster
from tests.support.cluster import BASE_URL, PASSWORD, Running, client_of

WRITTEN = ["gpu(main+ship)", "pos(^main^ship)", "free", "odd()", "site-$args[site](main)", " "]


@pytest.mark.parametrize(
    ("tag", "may"),
    [
        ("gpu", {"main", "ship"}),
        ("pos", {"other"}),
        ("free", {"main", "ship", "other"}),
        ("odd()", {"main", "ship", "other"}),
        ("never-listed", {"main", "ship", "other"}),
    ],
)
async def test_who_may_use_it(cluster: Running, tag: str, may: set[str]) -> None:
    opened = await open_cluster(cluster.store, cluster.clock, BASE_URL, PASSWORD, TagRules(WRITTEN))
    bearer = cluster.admin.headers["Authorization"].removeprefix("Bearer ")
    admin = client_of(build(opened.routes), bearer)
    for workspace in ("ship", "other"):
        await admin.post("/api/workspaces/create", json={"id": workspace, "name": workspace})
    run = {"content": "true", "language": "bash", "tag": tag}
    script = {**run, "path": "u/admin/s"}
    for workspace in ("main", "ship", "other"):
        at = f"/api/w/{workspace}"
        expected = 201 if workspace in may else 400
        assert (await admin.post(f"{at}/jobs/run/preview", json=run)).status_code == expected
        assert (await admin.post(f"{at}/scripts/create", json=script)).status_code == expected
        template = {**run, "tag": "$args[t]", "args": {"t": tag}}
        assert (await admin.post(f"{at}/jobs/run/preview", json=template)).status_code == expected
        waiting = (await admin.get(f"{at}/jobs/queue/count")).json()["database_length"]
        assert waiting == (2 if workspace in may else 0)


async def test_the_lists(cluster: Running) -> None:
    opened = await open_cluster(cluster.store, cluster.clock, BASE_URL, PASSWORD, TagRules(WRITTEN))
    bearer = cluster.admin.headers["Authorization"].removeprefix("Bearer ")
    admin = client_of(build(opened.routes), bearer)
    assert (await admin.get("/api/workers/custom_tags")).json() == WRITTEN[:-1]
    everybodys = ["free", "odd()", "site-$args[site](main)"]
    assert (await admin.get("/api/w/main/workers/custom_tags")).json() == ["gpu", *everybodys]
    assert (await admin.get("/api/w/admins/workers/custom_tags")).json() == ["pos", *everybodys]
    assert (await cluster.admin.get("/api/workers/custom_tags")).json() == []


def test_a_mixed_restriction_is_a_plain_tag() -> None:
    assert TagRules(["a(x^y)", "a(^x+y)"]).of("main") == ["a(x^y)", "a(^x+y)"]


@pytest.mark.parametrize(("own", "main", "other"), [((), "bash", "bash"), (("main",), "bash-main", "bash")])
async def test_a_workspace_may_have_default_tags_of_its_own(
    cluster: Running, own: tuple[str, ...], main: str, other: str
) -> None:
    rules = TagRules((), own)
    opened = await open_cluster(cluster.store, cluster.clock, BASE_URL, PASSWORD, rules)
    bearer = cluster.admin.headers["Authorization"].removeprefix("Bearer ")
    admin = client_of(build(opened.routes), bearer)
    assert (await admin.get("/api/workers/is_default_tags_per_workspace")).json() is bool(own)
    run = {"content": "true", "language": "bash"}
    for workspace, tag in (("main", main), ("admins", other)):
        at = f"/api/w/{workspace}/jobs"
        await admin.post(f"{at}/run/preview", json={**run, "tag": "explicit"})
        await admin.post(f"{at}/run/preview", json=run)
        assert [job["tag"] for job in (await admin.get(f"{at}/list")).json()] == [tag, "explicit"]


def test_a_star_means_every_workspace() -> None:
    assert TagRules((), ["*"]).default("bash", "x") == "bash-x"
