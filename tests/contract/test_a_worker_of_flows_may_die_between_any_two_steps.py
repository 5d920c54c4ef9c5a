"""A normal worker is killed at every moment of its work on a flow, one after another: another goes on.

The moments are its transactions: it dies with one done and not committed, or committed and not acted upon.
Whatever it was, the flow ends as it would have, each of its jobs was pushed once, and none is left behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from bridge.flows.asking import Asking
from bridge.flows.deployed import preview_of
from bridge.flows.expressions.engine import Expressions
from bridge.flows.turns import Turns
from bridge.jobs.lanes import FLOW_KINDS
from bridge.jobs.model import RunOptions
from bridge.jobs.tag_rules import EVERYBODYS
from bridge.resources.interpolation import Interpolation
from bridge.resources.service import Resources
from bridge.store.bulletin import Bulletin, Tell
from bridge.store.store import Connection
from bridge.tokens.model import NewWorkspace
from bridge.tokens.workspaces import Workspaces
from bridge.variables.service import Variables
from bridge.variables.vault import open_vault
from tests.support.cluster import Running, running_cluster
from tests.support.databases import plain
from tests.support.flows_in_store import OWNER, Driver, flow_of

HELD = plain("SELECT id FROM queue WHERE worker = :worker")
LEFT = plain("SELECT count(*) AS rows FROM flow_event UNION ALL SELECT count(*) FROM flow_item"
             " UNION ALL SELECT count(*) FROM queue")  # fmt: skip
STEPS = plain("SELECT flow_step_id AS step, count(*) AS jobs FROM job WHERE workspace_id = :workspace"
              " GROUP BY flow_step_id ORDER BY flow_step_id")  # fmt: skip

CHILDREN = plain("SELECT count(*) AS rows FROM flow_child WHERE flow_id = :id")

# A plain step, a parallel loop over a body, a step tried twice that may fail, an expression for the engine.
FLOW = flow_of(
    [
        {"id": "a", "py": "return x + 1", "in": {"x": "=flow_input.x"}},
        {
            "id": "l",
            "value": {
                "type": "forloopflow", "iterator": "=[results.a, 7]", "skip_failures": False,
                "parallel": True,
                "modules": [{"id": "b", "py": "return v * 2", "in": {"v": "=flow_input.iter.value"}}],
            },
        },
        {"id": "f", "py": "fail", "retry": {"constant": {"attempts": 1, "seconds": 0}},
         "continue_on_error": True},
        {"id": "s", "py": "return 0", "mock": {"enabled": True, "return_value": 5}},
        {"id": "e", "py": "return [l, n]",
         "in": {"l": "=results.l", "n": "=results.f.error.name + results.s"}},
    ]
)  # fmt: skip
RESULT = '[[8, 14], "ValueError5"]'
ITEMS = 2000
JOBS = {None: 1, "a": 1, "b": 2, "e": 1, "f": 2, "l": 2, "s": 1}


class Death(Exception):
    """The worker is gone."""


class When(Enum):
    UNCOMMITTED = "uncommitted"
    COMMITTED = "committed"


@dataclass
class Fuse:
    """Burns down by one at each transaction of the worker that it is in, and kills it at 0."""

    left: int
    when: When
    burnt: bool = False

    def at(self, when: When) -> None:
        if when is self.when and not self.burnt:
            self.left -= 1
            if self.left == 0:
                self.burnt = True
                raise Death


class Mortal:
    """The bulletin as the worker has it."""

    def __init__(self, bulletin: Bulletin, fuse: Fuse) -> None:
        self._bulletin = bulletin
        self._fuse = fuse

    async def write(self, work: Callable[[Connection, Tell], Any]) -> Any:
        def whole(connection: Connection, tell: Tell) -> Any:
            result = work(connection, tell)
            self._fuse.at(When.UNCOMMITTED)
            return result

        result = await self._bulletin.write(whole)
        self._fuse.at(When.COMMITTED)
        return result


async def mortal_turns(running: Running, expressions: Expressions, fuse: Fuse) -> Turns:
    """As a cluster makes them, with a death in their transactions."""
    store, clock, cluster = running.store, running.clock, running.cluster
    variables = Variables(store, await open_vault(store))
    interpolation = Interpolation(variables, Resources(store, clock))
    asking = Asking(store, expressions, variables, interpolation)
    return Turns(Mortal(cluster.bulletin, fuse), clock, cluster.jobs.heartbeats, EVERYBODYS, asking)


async def lives(driver: Driver, fuse: Fuse, flow_id: str) -> int:
    """How many workers it took until the flow had ended."""
    lives = 1
    while await driver.ended(flow_id) is None:
        worker = f"wk-{lives}"
        try:
            pulled = await driver.pull(worker)
            if pulled is None:
                assert await driver.pass_time()
                continue
            fuse.at(When.COMMITTED)
            if pulled.kind in FLOW_KINDS:
                await driver.turns.turn(pulled)
            else:
                ended = driver.executed_of(pulled)
                fuse.at(When.UNCOMMITTED)
                await driver.complete(pulled, ended)
                fuse.at(When.COMMITTED)
        except Death:
            held = [row["id"] for row in await driver.rows(HELD, worker=worker)]
            await driver.running.cluster.jobs.give_up(dict.fromkeys(held, "a death"))
            lives += 1
    return lives


@pytest.mark.parametrize("when", When)
async def test_another_goes_on(store_place: Path, when: When) -> None:
    async with running_cluster(store_place) as running, Expressions() as expressions:
        moments = 0
        while True:
            fuse = Fuse(moments + 1, when)
            workspace = f"death-{moments}"
            await Workspaces(running.store).create(OWNER, NewWorkspace(id=workspace, name=workspace))
            turns = await mortal_turns(running, expressions, fuse)
            driver = Driver(running=running, turns=turns, workspace=workspace)
            flow_id = await driver.push(preview_of(FLOW, None, None), {"x": 3})
            took = await lives(driver, fuse, flow_id)
            ended = await driver.ended(flow_id)
            assert ended is not None
            assert (ended["status"], ended["result"]) == ("success", RESULT), f"moment {moments + 1}"
            assert {row["step"]: row["jobs"] for row in await driver.rows(STEPS)} == JOBS
            assert [row["rows"] for row in await driver.rows(LEFT)] == [0, 0, 0]
            assert took == (2 if fuse.burnt else 1)
            repeated = len(driver.executed) - len(set(driver.executed))
            assert repeated <= (1 if when is When.UNCOMMITTED else 0)
            if not fuse.burnt:
                break
            moments += 1
    assert moments > 12, f"only {moments} moments were tried"


async def test_a_long_list_is_begun_in_portions(store_place: Path) -> None:
    """Nobody waits long for the store; and what one worker has begun of it another goes on with (I6)."""
    body = {"id": "b", "py": "return 0"}
    loop = {"type": "forloopflow", "iterator": "=flow_input.l", "skip_failures": False, "parallel": True}
    flow = flow_of([{"id": "l", "value": loop | {"modules": [body]}}])
    fuse = Fuse(1, When.COMMITTED)
    async with running_cluster(store_place) as running, Expressions() as expressions:
        turns = await mortal_turns(running, expressions, fuse)
        driver = Driver(running=running, turns=turns, workspace="main")
        first = RunOptions(priority=1)  # before its own children
        flow_id = await driver.push(preview_of(flow, None, None), {"l": list(range(ITEMS))}, first)
        pulled = await driver.pull("wk-1")
        assert pulled is not None
        with pytest.raises(Death):
            await turns.turn(pulled)
        begun = (await driver.rows(CHILDREN, id=flow_id))[0]["rows"]
        assert 0 < begun < ITEMS / 2
        await running.cluster.jobs.give_up({flow_id: "a death"})
        again = await driver.pull("wk-2")
        assert again is not None
        await turns.turn(again)
        assert (await driver.rows(CHILDREN, id=flow_id))[0]["rows"] == ITEMS
