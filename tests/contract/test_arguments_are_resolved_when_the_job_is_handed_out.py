"""`$var:`, `$res:` and `$WM_…` in arguments become what they name: a site may have no link later."""

import json

import httpx
import pytest

from tests.support.cluster import Running

IN = "/api/w/main"
PULL = "/api/agent_workers/pull_job"


@pytest.fixture
async def filled(cluster: Running) -> Running:
    for path, value in (("f/shop/name", "Suva"), ("f/shop/key", "$var:f/shop/name")):
        body = {"path": path, "value": value, "is_secret": path.endswith("key")}
        await cluster.admin.post(f"{IN}/variables/create", json=body)
    values: dict[str, object] = {
        "f/shop/db": {"host": "till", "password": "$var:f/shop/key", "spare": "$res:f/shop/spare"},
        "f/shop/spare": [1, "$var:f/shop/name"],
        "f/loop/a": {"x": "$res:f/loop/b", "y": "$res:f/loop/b"},
        "f/loop/b": {"x": "$res:f/loop/a", "y": "$res:f/loop/a"},
        "f/wide/a": ["$res:f/wide/b"] * 900,
        "f/wide/b": ["$res:f/shop/spare"] * 900,
    }
    for path, content in values.items():
        resource = {"path": path, "value": content, "resource_type": "x"}
        await cluster.admin.post(f"{IN}/resources/create", json=resource)
    return cluster


async def pulled_args(cluster: Running, agent: httpx.AsyncClient, args: object) -> object:
    await cluster.preview(args=args)
    return (await agent.post(PULL, json=None)).json()["job"]["args"]


async def test_each_kind_of_name(filled: Running) -> None:
    agent = await filled.agent("bash")
    args = {
        "plain": "$5", "price": 1.5, "name": "$var:f/shop/name", "deep": {"a": [{"b": "$var:f/shop/name"}]},
        "db": "$res:f/shop/db", "ws": "$WM_WORKSPACE", "unknown": "$HOME",
    }  # fmt: skip
    assert await pulled_args(filled, agent, args) == {
        "plain": "$5", "price": 1.5, "name": "Suva", "deep": {"a": [{"b": "Suva"}]},
        # a variable's value is text, whatever it looks like
        "db": {"host": "till", "password": "$var:f/shop/name", "spare": [1, "Suva"]},
        "ws": "main", "unknown": "$HOME",
    }  # fmt: skip


async def test_a_job_brings_the_secrets_among_its_arguments_so_that_its_log_hides_them(
    filled: Running,
) -> None:
    agent = await filled.agent("bash")
    plain = {"path": "f/shop/mail", "value": {"user": "ana", "smtp": {"Password": ["p1", "p2"]}},
             "resource_type": "x"}  # fmt: skip
    await filled.admin.post(f"{IN}/resources/create", json=plain)
    for args, hidden in (
        ({"name": "$var:f/shop/name", "price": "$5"}, None),
        ({"key": "$var:f/shop/key", "again": {"deep": ["$var:f/shop/key"]}}, ["$var:f/shop/name"]),
        ({"db": "$res:f/shop/db"}, ["$var:f/shop/name"]),
        ({"mail": "$res:f/shop/mail"}, ["p1", "p2"]),
    ):
        await filled.preview(args=args)
        assert (await agent.post(PULL, json=None)).json().get("hidden") == hidden


async def test_a_long_array_is_passed_on_as_it_is(filled: Running) -> None:
    agent = await filled.agent("bash")
    long = ["$var:f/shop/name"] * 1001
    assert await pulled_args(filled, agent, {"long": long}) == {"long": long}


async def test_what_lies_very_deep_is_passed_on_as_it_is(filled: Running) -> None:
    agent = await filled.agent("bash")
    shallow: object = "$var:f/shop/name"
    for _ in range(90):
        shallow = [shallow]
    found = json.dumps(await pulled_args(filled, agent, {"x": shallow}))
    assert "Suva" in found
    deep: object = shallow
    for _ in range(90):
        deep = [deep]
    assert await pulled_args(filled, agent, {"x": deep}) == {"x": deep}


@pytest.mark.parametrize("depth", [900, 1_100, 5_000])
async def test_no_depth_strands_a_job(filled: Running, depth: int) -> None:
    """Handed out, refused at push, or failed with a reason: never left running with nobody."""
    nested = "[" * depth + '"$x"' + "]" * depth
    body = f'{{"content":"true","language":"bash","args":{{"x":{nested}}}}}'
    made = await filled.admin.post(f"{IN}/jobs/run/preview", content=body)
    pulled = await (await filled.agent("bash")).post(PULL, json=None)
    assert pulled.status_code == 200
    if made.status_code == 201 and pulled.content == b"null":
        error = (await filled.job(made.text))["result"]["error"]  # type: ignore[index] # the record is JSON
        assert "nested too deeply" in error["message"]


async def test_an_escaped_dollar_is_one_too(filled: Running) -> None:
    agent = await filled.agent("bash")
    body = r'{"content":"true","language":"bash","args":{"n":"\u0024var:f/shop/name"}}'
    assert (await filled.admin.post(f"{IN}/jobs/run/preview", content=body)).status_code == 201
    assert (await agent.post(PULL, json=None)).json()["job"]["args"] == {"n": "Suva"}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("$var:f/shop/none", "Variable f/shop/none not found"),
        ("$res:f/shop/none", "Resource f/shop/none not found"),
        ("$res:none", "no path of a resource"),
        ("$res:f/loop/a", "in a circle: f/loop/a → f/loop/b → f/loop/a"),
        ("$res:f/wide/a", "more than 1000 variables and resources"),
    ],
)
async def test_a_job_that_names_what_is_not_there_fails_and_says_so(
    filled: Running, argument: str, said: str
) -> None:
    broken = await filled.preview(args={"db": argument})
    sound = await filled.preview(args={})
    agent = await filled.agent("bash")
    pulled = (await agent.post(PULL, json=None)).json()
    assert pulled["job"]["id"] == sound
    record = await filled.job(broken)
    assert (record["type"], record["success"]) == ("CompletedJob", False)
    error = record["result"]["error"]  # type: ignore[index] # the record is JSON
    assert error["name"] == "NotFound"
    assert error["message"].startswith("argument `db`: ")
    assert said in error["message"]


async def test_a_job_reaches_what_is_in_its_own_workspace(filled: Running) -> None:
    await filled.admin.post("/api/workspaces/create", json={"id": "other", "name": "Other"})
    body = {"content": "true", "language": "bash", "args": {"n": "$var:f/shop/name"}}
    job_id = (await filled.admin.post("/api/w/other/jobs/run/preview", json=body)).text
    agent = await filled.agent("bash")
    assert (await agent.post(PULL, json=None)).json() is None
    record = (await filled.admin.get(f"/api/w/other/jobs_u/get/{job_id}")).json()
    assert "not found in workspace other" in record["result"]["error"]["message"]


async def test_a_job_token_reads_and_sets_in_its_workspace_only(filled: Running) -> None:
    await filled.preview()
    job = filled.client((await (await filled.agent("bash")).post(PULL, json=None)).json()["token"])
    assert (await job.get(f"{IN}/variables/get_value/f/shop/name")).json() == "Suva"
    found = (await job.get(f"{IN}/resources/get_value_interpolated/f/shop/db")).json()
    assert found["spare"] == [1, "Suva"]
    state = {"path": "u/admin/tmp_state", "value": 1, "resource_type": "state"}
    assert (await job.post(f"{IN}/resources/create", json=state)).status_code == 201
    for there in ("variables/list", "resources/list", "variables/get_value/x/y", "resources/type/list"):
        assert (await job.get(f"/api/w/admins/{there}")).status_code == 403
    body = {"path": "u/x/y", "value": "1"}
    assert (await job.post("/api/w/admins/variables/create", json=body)).status_code == 403
