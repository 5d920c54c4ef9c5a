"""Limits, caches, early answers and priorities, as a flow's value has them (openflow.md 1 and 2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Raw

from bridge.errors import BadRequest, NotFound
from bridge.flows.deployed import FlowFilter, NewFlow, preview_of
from bridge.flows.user_states import UserStates
from bridge.jobs.model import Order, RunOptions
from bridge.jobs.records import Records
from bridge.jobs.scripts import Author, NewScript
from bridge.jobs.waiting import Waiting
from tests.support.cluster import Running
from tests.support.flows_in_store import OWNER, Driver, flow_of, flows_on

pytestmark = pytest.mark.on_both_stores


@pytest.fixture
async def driver(cluster: Running) -> AsyncIterator[Driver]:
    async with flows_on(cluster) as turns:
        yield Driver(running=cluster, turns=turns, workspace="main")


async def result(driver: Driver, flow: Any, args: object = None) -> Any:
    flow_id = await driver.push(preview_of(flow_of(flow), "f/shop/flow", None), args or {})
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    return json.loads(ended["result"])


def timed(**more: object) -> dict[str, object]:
    """A flow whose one step says when it ran."""
    return {"modules": [{"id": "a", "py": "import time\nreturn time.time_ns()", "in": {}, **more}]}


async def test_a_step_within_its_cache_ttl_is_not_done_again(driver: Driver) -> None:
    first = await result(driver, timed(cache_ttl=60))
    assert await result(driver, timed(cache_ttl=60)) == first
    assert await result(driver, timed(cache_ttl=60) | {"modules": timed(cache_ttl=60)["modules"]}) == first
    await driver.pass_s(61)
    later = await result(driver, timed(cache_ttl=60))
    assert later != first
    assert await result(driver, timed(cache_ttl=60)) == later
    assert len(driver.executed) == 2


async def test_a_flow_within_its_cache_ttl_is_not_run_again(driver: Driver) -> None:
    flow = timed() | {"cache_ttl": 60}
    first = await result(driver, flow, {"x": 1})
    assert await result(driver, flow, {"x": 1}) == first
    assert await result(driver, flow, {"x": 2}) != first
    await driver.pass_s(61)
    assert await result(driver, flow, {"x": 1}) != first


async def test_a_limit_of_flows_is_kept_while_they_are_parked(driver: Driver) -> None:
    flow = flow_of({"modules": [{"id": "a", "py": "return 1"}], "concurrent_limit": 1})
    first = await driver.push(preview_of(flow, "f/shop/one", None), {})
    second = await driver.push(preview_of(flow, "f/shop/one", None), {})
    driver.offline = {"python3"}
    await driver.until_idle()
    assert (await driver.running.job(first))["running"] is True
    assert (await driver.running.job(second))["running"] is False
    driver.offline.clear()
    await driver.until_idle()
    assert await driver.ended(second) is not None


async def test_what_has_no_name_shares_its_limit_with_nothing(driver: Driver) -> None:
    flow = json.loads(flow_of({"modules": [{"id": "a", "py": "return 1"}], "concurrent_limit": 1}))
    flow["modules"][0]["value"]["concurrent_limit"] = 1
    for _ in range(2):
        await driver.push(preview_of(json.dumps(flow).encode(), None, None), {})
    driver.offline = {"python3"}
    await driver.until_idle()
    jobs = driver.running.cluster.jobs
    pulled = [await jobs.pull(f"ag-{number}", ["python3"]) for number in range(2)]
    assert [one is not None for one in pulled] == [True, True]


async def test_a_limit_of_a_step_is_kept_among_its_children(driver: Driver) -> None:
    body = {"id": "a", "py": "return x", "in": {"x": "=flow_input.iter.value"}}
    loop = {"type": "forloopflow", "iterator": "=[1, 2, 3]", "skip_failures": False, "parallel": True}
    flow = json.loads(flow_of([{"id": "l", "value": loop | {"modules": [body]}}]))
    step = flow["modules"][0]["value"]["modules"][0]["value"]
    step |= {"concurrent_limit": 1, "custom_concurrency_key": "$workspace-till"}
    flow_id = await driver.push(preview_of(json.dumps(flow).encode(), None, None), {})
    driver.offline = {"python3"}
    await driver.until_idle()
    driver.offline.clear()
    jobs = driver.running.cluster.jobs
    pulled = [await jobs.pull(f"ag-{number}", ["python3"]) for number in range(3)]
    assert [one is not None for one in pulled] == [True, False, False]
    assert pulled[0] is not None
    await driver.complete(pulled[0], driver.executed_of(pulled[0]))
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    assert json.loads(ended["result"]) == [1, 2, 3]


async def test_who_waits_is_answered_early(driver: Driver) -> None:
    cluster = driver.running.cluster
    flow = {"modules": [{"id": "a", "py": "return 'early'"}, {"id": "b", "py": "return 1", "tag": "away"}],
            "early_return": "a"}  # fmt: skip
    driver.offline = {"away"}
    records = Records(driver.running.store, driver.running.clock, cluster.jobs.heartbeats)
    waiting = Waiting(cluster.jobs, records, cluster.jobs.endings, driver.running.clock)
    order = Order(
        workspace="main", source=preview_of(flow_of(flow), None, None), args=b"{}", options=RunOptions(),
        created_by="admin", permissioned_as="u/admin", email=OWNER.email,
    )  # fmt: skip
    asked = asyncio.create_task(waiting.run(order, None))
    await asyncio.sleep(0)
    while not asked.done():
        if not await driver.work():
            await asyncio.wait([asked], timeout=0.05)
    answer = asked.result()
    assert (answer.status, answer.document) == (200, b'"early"')


async def test_a_deployed_flow_answers_by_path_and_by_version(driver: Driver) -> None:
    flows = driver.running.cluster.flows

    def new(body: str, path: str = "f/shop/nightly") -> NewFlow:
        return NewFlow(
            path=path, value=Raw(flow_of([{"id": "a", "py": body}])), summary="nightly", tag="flow"
        )

    assert await flows.create("main", new("return 1"), "ada") == "f/shop/nightly"
    with pytest.raises(BadRequest, match="exists already"):
        await flows.create("main", new("return 1"), "ada")
    first = (await flows.get("main", "f/shop/nightly"))["version_id"]
    await flows.update("main", "f/shop/nightly", new("return 2"), "bob")
    for source, wanted in (
        (await flows.source("main", "f/shop/nightly"), 2),
        (await flows.source_of_version("main", first), 1),
    ):
        flow_id = await driver.push(source, {})
        await driver.until_idle()
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert json.loads(ended["result"]) == wanted
        assert (await driver.running.job(flow_id))["script_path"] == "f/shop/nightly"
    assert (await flows.of_version("main", first))["edited_by"] == "ada"
    assert [one["path"] for one in await flows.listed("main", FlowFilter())] == ["f/shop/nightly"]
    await flows.update("main", "f/shop/nightly", new("return 3", "f/shop/daily"), "ada")
    assert not await flows.exists("main", "f/shop/nightly")
    assert await flows.exists("main", "f/shop/daily")
    await flows.archive("main", "f/shop/daily", archived=True)
    with pytest.raises(NotFound):
        await flows.source("main", "f/shop/daily")
    await flows.archive("main", "f/shop/daily", archived=False)
    await flows.create("main", new("return 4"), "ada")
    with pytest.raises(BadRequest, match="another path"):
        await flows.update("main", "f/shop/daily", new("return 5"), "ada")
    await flows.delete("main", "f/shop/daily")
    with pytest.raises(NotFound):
        await flows.get("main", "f/shop/daily")


async def test_a_flow_as_a_whole_is_not_retried(driver: Driver) -> None:
    source = preview_of(flow_of([]), None, None)
    with pytest.raises(BadRequest, match="give its steps a retry"):
        await driver.push(source, {}, RunOptions(retry='{"constant": {"attempts": 1, "seconds": 0}}'))


async def test_what_may_be_begun_once_only_is_not_tried_again(driver: Driver) -> None:
    script = NewScript(
        path="f/shop/pay", content="def main():\n    raise ValueError('boom')\n", language="python3",
        delivery="at_most_once",
    )  # fmt: skip
    await driver.running.cluster.scripts.create("main", script, Author("ada", "ada@example.com"))
    step = {"id": "a", "script": "f/shop/pay", "retry": {"constant": {"attempts": 2, "seconds": 0}}}
    assert (await result(driver, [step]))["error"]["message"] == "boom"
    assert len(driver.executed) == 1


async def test_expressions_look_up_what_the_workspace_has(driver: Driver) -> None:
    admin = driver.running.admin
    for kind, body in (
        ("variables", {"path": "u/admin/till", "value": "7", "is_secret": True, "description": ""}),
        ("resources", {"path": "u/admin/shop", "value": {"till": "$var:u/admin/till"}, "resource_type": "x"}),
    ):
        assert (await admin.post(f"/api/w/main/{kind}/create", json=body)).is_success
    read = {
        "v": "=(await variable('u/admin/till')) + 1",
        "r": "=resource('u/admin/shop').till + flow_env.named",
        "e": "=flow_env.named",
        "no": "=results.unknown?.x ?? 'none'",
    }
    flow = {"modules": [{"id": "a", "py": "return [v, r, e, no]", "in": read}],
            "flow_env": {"named": "$var:u/admin/till"}}  # fmt: skip
    assert await result(driver, flow) == ["71", "77", "7", "none"]
    for missing in ("variable('u/admin/no')", "resource('u/admin/no')"):
        told = await result(driver, [{"id": "a", "py": "return x", "in": {"x": f"={missing}"}}])
        assert "u/admin/no" in told["error"]["message"]
    lost = {"modules": [{"id": "a", "py": "return x", "in": {"x": "=flow_env.named"}}],
            "flow_env": {"named": "$var:u/admin/no"}}  # fmt: skip
    assert "u/admin/no" in (await result(driver, lost))["error"]["message"]


async def test_what_a_preprocessor_gives_decides_the_tag(driver: Driver) -> None:
    value = {
        "modules": [{"id": "a", "py": "return site", "in": {"site": "=flow_input.site"}}],
        "preprocessor_module": {"id": "preprocessor", "py": "return {'site': raw}", "in": {"raw": ""}},
    }
    new = NewFlow(path="f/shop/hook", value=Raw(flow_of(value)), tag="pos-$args[site]")
    flows = driver.running.cluster.flows
    await flows.create("main", new, "ada")
    flow_id = await driver.push(await flows.source("main", "f/shop/hook", preprocess=True), {"raw": "north"})
    assert (await driver.running.job(flow_id))["tag"] == "pos-"
    await driver.until_idle()
    told = await driver.running.job(flow_id)
    assert (told["result"], told["tag"], told["args"]) == ("north", "pos-north", {"site": "north"})
    assert [one.tag for one in await driver.seen(flow_id)] == ["pos-north", "python3", "pos-north"]


async def test_steps_leave_states_for_each_other(driver: Driver) -> None:
    states = UserStates(driver.running.store)
    flow = flow_of([{"id": "a", "py": "return x", "in": {"x": "=flow_user_state('far')"}}])
    flow_id = await driver.push(preview_of(flow, None, None), {})
    assert await states.get("main", flow_id, "far") == b"null"
    await states.set("main", flow_id, "far", b"1")
    await states.set("main", flow_id, "far", b"[2]")
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    assert ended["result"] == "[2]"
    with pytest.raises(NotFound):
        await states.set("admins", flow_id, "far", b"1")
    with pytest.raises(BadRequest, match="bytes"):
        await states.set("main", flow_id, "far", b"1" * (1024 * 1024 + 1))


async def test_a_flow_that_has_begun_is_not_too_late_any_more(driver: Driver) -> None:
    soon = datetime.fromtimestamp(driver.running.clock.wall_s() + 60, UTC)
    source = preview_of(flow_of([{"id": "a", "py": "return 1"}]), None, None)
    begun = await driver.push(source, {}, RunOptions(not_after=soon))
    await driver.until_idle()
    assert await driver.ended(begun) is not None
    driver.offline = {"python3"}
    begun = await driver.push(source, {}, RunOptions(not_after=soon))
    await driver.until_idle()
    late = await driver.push(source, {}, RunOptions(not_after=soon))
    driver.offline.clear()
    await driver.pass_s(61)
    await driver.until_idle()
    ends = [await driver.ended(one) for one in (begun, late)]
    assert [None if one is None else one["status"] for one in ends] == ["success", "failure"]


async def test_what_names_nothing_fails_as_a_step(driver: Driver) -> None:
    told = await result(driver, [{"id": "a", "script": "f/shop/missing"}])
    assert told["error"]["name"] == "InternalError"
    assert "deploy it" in told["error"]["message"]
    told = await result(driver, [{"id": "a", "py": "return 1", "tag": "pos-$args[x]" * 60}])
    assert "shorten it" in told["error"]["message"]


async def test_a_flow_ends_at_its_own_time_limit(driver: Driver) -> None:
    """While a step waits for a site that is away, and while the flow waits for a time of its own."""
    away = {"modules": [{"id": "a", "py": "return 1"}, {"id": "b", "py": "return 2"}]}
    asleep = {"modules": [{"id": "a", "py": "return 1", "sleep": 3600}]}
    driver.offline = {"python3"}
    for flow in (away, asleep):
        source = preview_of(flow_of(flow), "f/shop/flow", None)
        flow_id = await driver.push(source, {}, RunOptions(timeout=60))
        driver.offline = {"python3"} if flow is away else set()
        await driver.until_idle()
        assert await driver.ended(flow_id) is None
        await driver.pass_s(61)
        await driver.until_idle()
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert ended["status"] == "failure"
        assert "timeout after exceeding job-specific duration limit" in ended["result"]
    assert len(driver.executed) == 1
