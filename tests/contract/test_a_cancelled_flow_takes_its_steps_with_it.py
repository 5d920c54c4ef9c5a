"""Asked, it ends once what runs has ended; forced, at once. Nothing of it is begun any more (I7)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bridge.flows.deployed import preview_of
from bridge.flows.expressions.engine import Expressions
from bridge.jobs.model import Cancel, Completion
from tests.support.cluster import Running
from tests.support.databases import plain
from tests.support.flows_in_store import Driver, flow_of, flows_on

pytestmark = pytest.mark.on_both_stores

# Two sites, each in a flow of its own below the flow.
FLOW = flow_of(
    [
        {
            "id": "sites",
            "value": {
                "type": "forloopflow", "iterator": "=['north', 'south']", "skip_failures": False,
                "parallel": True,
                "modules": [
                    {"id": "price", "py": "return s", "tag": "pos-$args[s]",
                     "in": {"s": "=flow_input.iter.value"}},
                    {"id": "never", "py": "return 0"},
                ],
            },
        },
        {"id": "after", "py": "return 1"},
    ]
)  # fmt: skip
ENDS = plain("SELECT job.flow_step_id AS step, job.tag, completed.status FROM job"
             " LEFT JOIN completed USING (id) WHERE job.workspace_id = 'main' ORDER BY job.id")  # fmt: skip


async def ends(driver: Driver) -> dict[tuple[str | None, str], str | None]:
    return {(row["step"], row["tag"]): row["status"] for row in await driver.rows(ENDS)}


async def test_asked_it_waits_for_what_runs(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"pos-north", "pos-south"})
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        await driver.until_idle()
        running = await jobs.pull("ag-north-1", ["pos-north"])
        assert running is not None
        with jobs.cancels.watched("ag-north-1") as told:
            await jobs.cancel("main", flow_id, "ada", "wrong prices")
            assert told.is_set()
        assert (await jobs.ping(running.job_id, "ag-north-1", None)).canceled_by == "ada"
        assert await jobs.pull("ag-south-1", ["pos-south"]) is None
        await driver.until_idle()
        assert await driver.ended(flow_id) is None  # north may be cut off, and has not said a word
        stopped = Completion(success=False, result=b'{"name": "Canceled", "message": "stopped"}')
        await jobs.complete("main", running.job_id, stopped)
        await driver.until_idle()
        ended = await driver.ended(flow_id)
    assert ended is not None
    assert ended["status"] == "canceled"
    assert await ends(driver) == {
        (None, "flow"): "canceled",
        ("sites", "flow"): "canceled",
        ("price", "pos-north"): "canceled",
        ("price", "pos-south"): "canceled",
    }


async def test_forced_it_waits_for_nobody(cluster: Running) -> None:
    jobs = cluster.cluster.jobs
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main", offline={"pos-north", "pos-south"})
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        await driver.until_idle()
        running = await jobs.pull("ag-north-1", ["pos-north"])
        assert running is not None
        await jobs.cancel("main", flow_id, "ada", None, Cancel.FORCED)
        assert set((await ends(driver)).values()) == {"canceled"}
        assert (await jobs.ping(running.job_id, "ag-north-1", None)).already_completed
        late = Completion(success=True, result=b"1")
        await jobs.complete("main", running.job_id, late)
        assert not await driver.work()
    assert set((await ends(driver)).values()) == {"canceled"}


async def test_one_that_has_not_begun_never_does(cluster: Running) -> None:
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main")
        flow_id = await driver.push(preview_of(FLOW, None, None), {})
        await cluster.cluster.jobs.cancel("main", flow_id, "ada", None)
        assert not await driver.work()
    assert await ends(driver) == {(None, "flow"): "canceled"}


class Meanwhile:
    """Expressions, during the first of which something happens."""

    def __init__(self, expressions: Expressions, what: Callable[[], Awaitable[None]]) -> None:
        self._expressions = expressions
        self._what: Callable[[], Awaitable[None]] | None = what

    async def evaluate(self, *args: Any, **named: Any) -> bytes:
        what, self._what = self._what, None
        if what is not None:
            await what()
        return await self._expressions.evaluate(*args, **named)


async def test_a_cancel_overtakes_a_turn_that_is_being_decided(cluster: Running) -> None:
    """While an expression is evaluated the flow is cancelled: the step that it was for is not pushed."""
    flow = flow_of([{"id": "a", "py": "return x", "in": {"x": "=1 + 1"}}])

    async def cancel() -> None:
        await cluster.cluster.jobs.cancel("main", flow_id, "ada", None)

    async with Expressions() as expressions:
        turns = cluster.cluster.turns(Meanwhile(expressions, cancel))
        driver = Driver(running=cluster, turns=turns, workspace="main")
        flow_id = await driver.push(preview_of(flow, None, None), {})
        pulled = await driver.pull()
        assert pulled is not None
        await turns.turn(pulled)
    assert await ends(driver) == {(None, "flow"): "canceled"}


async def test_a_worker_that_lost_the_flow_changes_nothing(cluster: Running) -> None:
    flow = flow_of([{"id": "a", "py": "return 1"}])
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main")
        await driver.push(preview_of(flow, None, None), {})
        pulled = await driver.pull("wk-1")
        assert pulled is not None
        await cluster.cluster.jobs.give_up({pulled.job_id: "silence"})
        again = await driver.pull("wk-2")
        assert again is not None
        assert again.job_id == pulled.job_id
        await turns.turn(pulled)
        assert await ends(driver) == {(None, "flow"): None}  # no step
        await turns.turn(again)
    assert await ends(driver) == {(None, "flow"): None, ("a", "python3"): None}
