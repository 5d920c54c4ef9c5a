"""A parked flow has no worker that could fall silent; one whose worker did goes on where it stands."""

import pytest

from bridge.flows.deployed import preview_of
from bridge.jobs.giving_up import RESTARTS_MAX
from bridge.jobs.model import Completion
from tests.support.cluster import Running
from tests.support.databases import plain
from tests.support.flows_in_store import WORKER, Driver, flow_of, flows_on

pytestmark = pytest.mark.on_both_stores

FLOW = flow_of([{"id": "a", "py": "return 1"}, {"id": "b", "py": "return 2", "tag": "away"}])
OPEN = plain("SELECT job.flow_step_id AS step, queue.state, queue.worker FROM queue JOIN job USING (id)"
             " ORDER BY job.created_at")  # fmt: skip
RESTARTS = plain("SELECT restarts FROM queue WHERE id = :id")


async def test_however_long_it_waits(cluster: Running) -> None:
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"away"})
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        await driver.until_idle()
        for _ in range(2):
            assert await cluster.cluster.jobs.sweep_zombies(60) == 0
            await driver.pass_s(3 * 86_400)
        told = await driver.running.job(flow_id)
        assert (told["running"], told["worker"], told["last_ping"]) == (True, None, None)
        assert await cluster.cluster.jobs.put_back(WORKER, frozenset()) == 0
        assert await cluster.cluster.jobs.give_up({flow_id: "a word that came late"}) == 0
        driver.offline.clear()
        await driver.until_idle()
        assert await driver.ended(flow_id) is not None


async def test_a_silent_worker_loses_its_turn(cluster: Running) -> None:
    """Also a worker that says so itself; the flow keeps when it has begun."""
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main")
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        await driver.work()  # its first turn
        await driver.work()  # its first step, which wakes it
        began = (await driver.running.job(flow_id))["started_at"]
        assert (await driver.pull("wk-1")) is not None
        await driver.pass_s(61)
        assert await cluster.cluster.jobs.sweep_zombies(60) == 1
        assert (await driver.pull("wk-2")) is not None
        assert await cluster.cluster.jobs.put_back("wk-2", frozenset()) == 1
        told = await driver.running.job(flow_id)
        assert (told["started_at"], told["worker"]) == (began, None)
        await driver.until_idle()
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert ended["result"] == "2"


async def test_one_that_kills_each_of_its_workers_is_given_up(cluster: Running) -> None:
    """Deaths count only while it gets no further; then its steps go with it."""
    jobs = cluster.cluster.jobs
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"away"})
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        for _ in range(RESTARTS_MAX):
            assert await driver.pull() is not None
            await jobs.give_up({flow_id: "silence"})
        assert (await driver.rows(RESTARTS, id=flow_id))[0]["restarts"] == RESTARTS_MAX
        await driver.until_idle()
        assert (await driver.rows(RESTARTS, id=flow_id))[0]["restarts"] == 0
        away = await jobs.pull("ag-away-1", ["away"])
        assert away is not None
        await jobs.complete("main", flow_id, Completion(success=False, result=b'{"name": "InternalError"}'))
        ended = await driver.ended(flow_id)
        assert ended is not None
        assert ended["status"] == "failure"
        assert (await jobs.ping(away.job_id, "ag-away-1", None)).canceled_by == "its flow"
