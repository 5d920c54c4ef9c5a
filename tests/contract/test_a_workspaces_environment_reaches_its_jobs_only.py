"""What a superadmin sets for a workspace's jobs goes to an agent that runs one of them, and to the relay."""

import pytest

from agent.wire.claims import Tag
from bridge.relay.sources.local import LocalSource
from tests.support.cluster import Running

SET = "/api/w/main/workspaces/set_environment_variable"
READ = "/api/w/main/agent_workers/custom_envs"


async def test_a_worker_that_runs_a_job_of_it(cluster: Running) -> None:
    for name, value in (("SHOP", "Suva"), ("LANG", "fj"), ("GONE", "x"), ("GONE", None)):
        body = {"name": name, "value": value}
        assert (await cluster.admin.post(SET, json=body)).status_code == 200
    agent = await cluster.agent("bash")
    assert (await agent.get(READ)).content == b"[]"
    await cluster.preview()
    await agent.post("/api/agent_workers/pull_job", json=None)
    assert (await agent.get(READ)).content == b'[["LANG","fj"],["SHOP","Suva"]]'
    stranger = await cluster.agent("bash", suffix="other-q1w2e")
    assert (await stranger.get(READ)).content == b"[]"
    assert (await agent.get("/api/w/admins/agent_workers/custom_envs")).content == b"[]"
    listed = await cluster.admin.get("/api/w/main/workspaces/environment_variables")
    assert listed.json() == {"LANG": "fj", "SHOP": "Suva"}


async def test_the_relay_takes_it_along(cluster: Running) -> None:
    await cluster.admin.post(SET, json={"name": "SHOP", "value": "Suva"})
    await cluster.preview()
    source = LocalSource(cluster.cluster.jobs, cluster.cluster.environments)
    pulled = await source.pull(frozenset((Tag("bash"),)))
    assert pulled is not None
    assert (pulled.env["SHOP"], pulled.env["WM_USERNAME"]) == ("Suva", "admin")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("1X", "x"),
        ("A-B", "x"),
        ("WM_TOKEN", "x"),
        ("ORVANTA_X", "x"),
        ("X", "a\0b"),
        ("X\n", "x"),
    ],
)
async def test_what_no_environment_can_hold_is_refused(cluster: Running, name: str, value: str) -> None:
    assert (await cluster.admin.post(SET, json={"name": name, "value": value})).status_code == 400


async def test_there_are_not_too_many(cluster: Running) -> None:
    answers = [
        (await cluster.admin.post(SET, json={"name": f"X{number}", "value": "x"})).status_code
        for number in range(101)
    ]
    assert answers == [200] * 100 + [400]


async def test_a_job_may_not_set_it(cluster: Running) -> None:
    await cluster.preview()
    agent = await cluster.agent("bash")
    job = cluster.client((await agent.post("/api/agent_workers/pull_job", json=None)).json()["token"])
    assert (await job.post(SET, json={"name": "SHOP", "value": "x"})).status_code == 403
    listed = await job.get("/api/w/main/workspaces/environment_variables")
    assert listed.status_code == 200
