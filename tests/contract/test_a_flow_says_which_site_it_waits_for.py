"""Steps at sites that are away: who holds which, since when, and for which tag the others wait (DESIGN 3)."""

import json

import pytest

from agent.wire.agent_api import reserved_env
from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from bridge.flows.deployed import preview_of
from bridge.flows.reading import FlowRecords, Waiting
from bridge.relay.ledger import Ledger
from bridge.relay.sources.local import LocalSource
from tests.support.cluster import Running
from tests.support.clusters import ended as ended_with
from tests.support.databases import plain
from tests.support.flows_in_store import Driver, flow_of, flows_on

pytestmark = pytest.mark.on_both_stores

SITES = ["north", "south", "east", "west", "mill"]
FLOW = flow_of(
    [
        {
            "id": "sites",
            "value": {
                "type": "forloopflow", "iterator": "=flow_input.sites", "skip_failures": False,
                "parallel": True,
                "modules": [
                    {"id": "price", "py": "return site", "tag": "pos-$args[site]", "delivery": "at_most_once",
                     "lost_after": 86_400, "in": {"site": "=flow_input.iter.value"}}
                ],
            },
        }
    ]
)  # fmt: skip


async def test_each_state_of_a_step_is_told(cluster: Running) -> None:
    ledger, source = Ledger(cluster.store, cluster.clock), LocalSource(cluster.cluster.jobs)
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main")
        driver.offline = {f"pos-{site}" for site in SITES}
        flow_id = await driver.push(preview_of(FLOW, "f/shop/prices", None), {"sites": SITES})
        await driver.until_idle()
        for site, steps in (("north", 3), ("south", 2), ("east", 1)):  # how far each got
            job = await source.pull(frozenset({Tag(f"pos-{site}")}))
            assert job is not None
            key = (JobId(job.job_id), Attempt(1))
            await ledger.take(job.as_custody(Attempt(1)), b"body")
            await ledger.published(key)
            if steps > 1:
                worker = WorkerName(f"ag-{site}-1")
                tags = frozenset({Tag(f"pos-{site}")})
                await ledger.enrol(Claims(worker, "pos", tags, expires_s=0), "0", 1)
                assert await ledger.accept(key, worker) is not None
            if steps == 3:
                await ledger.started(key, cluster.clock.wall_s())
        agent = await cluster.agent("pos-west", suffix="west-a1b2c")
        assert (await agent.post("/api/agent_workers/pull_job", content=b"null")).json() is not None
        told = await FlowRecords(cluster.store).waiting_on("main", flow_id)
        assert [(one.position, one.tag, one.state, one.worker) for one in told] == [
            (0, "pos-north", "running", "ag-north-1"),
            (1, "pos-south", "accepted", "ag-south-1"),
            (2, "pos-east", "sent", None),
            (3, "pos-west", "running", "ag-pos-west-a1b2c"),
            (4, "pos-mill", "waiting", None),
        ]
        assert {(one.module_id, one.step_id) for one in told} == {("sites", "price")}
        assert all(0 <= cluster.clock.wall_s() - one.since_s < 60 for one in told)
        shown = await driver.shown(flow_id)
        held = [(one["tag"], one["worker"], one["step"]) for one in shown["modules"][0]["held"]]
        assert held == [(one.tag, one.worker, "price") for one in told]


async def test_a_step_carries_its_rules_and_its_flow_to_the_site(cluster: Running) -> None:
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"pos-north"})
        flow_id = await driver.push(preview_of(FLOW, "f/shop/prices", None), {"sites": ["north"]})
        await driver.until_idle()
    agent = await cluster.agent("pos-north")
    reply = (await agent.post("/api/agent_workers/pull_job", content=b"null")).json()
    job = reply["job"]
    assert (job["delivery"], job["lost_after"], job["kind"]) == ("at_most_once", 86_400, "preview")
    assert (job["flow_step_id"], job["root_job"], job["args"]) == ("price", flow_id, {"site": "north"})
    body = await driver.rows(plain("SELECT id FROM job WHERE parent_job = :id"), id=flow_id)
    assert job["parent_job"] == body[0]["id"]
    env = reserved_env(reply)
    told = [env[f"WM_{name}"] for name in ("FLOW_JOB_ID", "ROOT_FLOW_JOB_ID", "FLOW_STEP_ID", "FLOW_PATH")]
    assert told == [job["parent_job"], flow_id, "price", "f/shop/prices/forloop-0"]


async def test_what_the_bridge_carries_out_is_a_job_like_others(cluster: Running) -> None:
    """Its end, which the relay brings, lets the flow go on."""
    source = LocalSource(cluster.cluster.jobs)
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"pos-north"})
        flow_id = await driver.push(preview_of(FLOW, None, None), {"sites": ["north"]})
        await driver.until_idle()
        job = await source.pull(frozenset({Tag("pos-north")}))
        assert job is not None
        custody = job.as_custody(Attempt(1))
        document = json.dumps("done").encode()
        await source.send_result(custody, ended_with(job, document), document)
        await driver.until_idle()
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert (ended["status"], ended["result"]) == ("success", '["done"]')


async def test_a_flow_over_hundreds_of_sites_waits_for_the_ones_that_are_down(cluster: Running) -> None:
    sites = [f"s{number}" for number in range(20)]
    down = {f"pos-{site}" for site in sites[::5]}
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline=set(down))
        flow_id = await driver.push(preview_of(FLOW, None, None), {"sites": sites})
        await driver.until_idle()
        waiting: list[Waiting] = await FlowRecords(cluster.store).waiting_on("main", flow_id)
        assert {one.tag for one in waiting} == down
        assert await driver.ended(flow_id) is None
        driver.offline.clear()  # they return
        await driver.until_idle()
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert json.loads(ended["result"]) == sites
