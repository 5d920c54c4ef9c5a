"""What a flow costs beside plain jobs: a step of a long loop, its statements, and transitions a second.

`./dev bench flows [--steps N] [--rounds N] [--store sqlite|postgresql|both]`. The real store, cluster, turns
and expressions, driven in this process by normal workers whose jobs end at once, so that nothing but the
flow is measured. The baseline of the same round: so many plain jobs, pushed, pulled and ended one by one.
Statements are counted where they meet the database. A transition is one decision, written.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from msgspec import Raw

from agent.clock import SystemClock
from agent.logs import Secret, configure
from bench.support.counted import Counters, count_postgresql, count_sqlite
from bench.support.figures import ratio_line
from bench.support.folders import own_folder
from bridge.flows.deployed import NewFlow
from bridge.flows.expressions.engine import Expressions
from bridge.flows.turns import Turns
from bridge.jobs.lanes import FLOW, FLOW_KINDS
from bridge.jobs.model import Code, Completion, Order, RunOptions, Source
from bridge.store.connection import open_store
from bridge.store.on_server import OnServer
from bridge.store.statements import Statement, for_psycopg
from bridge.store.store import Store
from bridge.web.cluster import Cluster, open_cluster
from dev_tools.database import DatabaseError
from dev_tools.database import find as find_database

STEPS: Final = 1000
ROUNDS: Final = 3
EDGE: Final = 100  # steps at either end of the loop whose statements are compared
SIDE_BY_SIDE: Final = 8  # workers, and flows, for transitions a second
SHORT_STEPS: Final = 25
IDLE_S: Final = 0.1
TAG: Final = "bench"
LOOP: Final = "f/bench/loop"
SHORT: Final = "f/bench/short"
DONE: Final = Completion(success=True, result=b"1")
VERSIONS: Final = "SELECT coalesce(sum(version), 0) AS transitions FROM flow_run"


@dataclass
class Round:
    """Times in seconds. `marks`: statements so far after each step of the loop, and when that was."""

    plain_s: float = 0.0
    plain_statements: float = 0.0  # of one job
    loop_s: float = 0.0
    marks: list[tuple[int, float]] = field(default_factory=list)
    alone_per_s: float = 0.0
    together_per_s: float = 0.0

    def per_step(self, steps: slice) -> float:
        part = self.marks[steps]
        return (part[-1][0] - part[0][0]) / (len(part) - 1)

    def step_s(self, steps: slice) -> float:
        part = self.marks[steps]
        return (part[-1][1] - part[0][1]) / (len(part) - 1)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench flows")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args(argv)
    configure(level=logging.CRITICAL)
    try:
        with own_folder() as folder:
            counters = Counters(folder / "counters")
            count_sqlite(counters)
            count_postgresql(counters)
            for name in ("sqlite", "postgresql"):
                if options.store in (name, "both"):
                    with _place(name, folder) as place:
                        rounds = asyncio.run(_measure(place, counters, options.steps, options.rounds))
                    _print(name, rounds, options.steps)
    except DatabaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _place(name: str, folder: Path) -> Iterator[Path | OnServer]:
    if name == "sqlite":
        yield folder / "bridge.db"
        return
    with find_database() as server, server.fresh() as database:
        key_path = folder / "bridge.key"
        yield OnServer(url=Secret(server.url(database)), pool=SIDE_BY_SIDE, key_path=key_path, name=database)


async def _measure(place: Path | OnServer, counters: Counters, steps: int, rounds: int) -> list[Round]:
    store = await open_store(place)
    try:
        cluster = await open_cluster(store, SystemClock(), "http://127.0.0.1", "0123456789abc")
        await cluster.flows.create("main", NewFlow(path=LOOP, value=Raw(_loop())), "bench")
        await cluster.flows.create("main", NewFlow(path=SHORT, value=Raw(_loop())), "bench")
        async with Expressions() as expressions:
            bench = Bench(store, cluster, cluster.turns(expressions), counters)
            return [await bench.round(steps) for _ in range(rounds)]
    finally:
        await store.close()


class Bench:
    def __init__(self, store: Store, cluster: Cluster, turns: Turns, counters: Counters) -> None:
        self._store = store
        self._cluster = cluster
        self._turns = turns
        self._counters = counters

    async def round(self, steps: int) -> Round:
        found = Round()
        statements = self._counters.read()[0]
        found.plain_s = await self._plain(steps)
        found.plain_statements = (self._counters.read()[0] - statements) / steps
        before, began_s = await self._transitions(), time.perf_counter()
        await self._flow(LOOP, steps, found.marks)
        found.loop_s = time.perf_counter() - began_s
        found.alone_per_s = (await self._transitions() - before) / found.loop_s
        before, began_s = await self._transitions(), time.perf_counter()
        await self._together()
        found.together_per_s = (await self._transitions() - before) / (time.perf_counter() - began_s)
        return found

    async def _plain(self, count: int) -> float:
        """Each is pushed when the one before has ended, as a loop does it."""
        began_s = time.perf_counter()
        for _ in range(count):
            await self._push(Code("echo", "bash", None, None, TAG), {"x": 1})
            await self._work("wk-bench-0", [])
        return time.perf_counter() - began_s

    async def _flow(self, path: str, steps: int, marks: list[tuple[int, float]]) -> None:
        flow_id = await self._push(
            await self._cluster.flows.source("main", path), {"items": list(range(steps))}
        )
        while await self._work("wk-bench-0", marks):
            pass
        assert await self._is_over(flow_id)

    async def _together(self) -> None:
        """So many workers at so many flows."""
        source = await self._cluster.flows.source("main", SHORT)
        items = {"items": list(range(SHORT_STEPS))}
        left = {await self._push(source, items) for _ in range(SIDE_BY_SIDE)}

        async def worker(name: str) -> None:
            while left:
                if not await self._work(name, [], IDLE_S):
                    left.difference_update([one for one in list(left) if await self._is_over(one)])

        async with asyncio.TaskGroup() as group:
            for number in range(SIDE_BY_SIDE):
                group.create_task(worker(f"wk-bench-{number}"), name=f"worker {number}")

    async def _work(self, name: str, marks: list[tuple[int, float]], wait_s: float = 0) -> bool:
        """One job as far as it goes; False: none is ready."""
        pulled = await self._cluster.jobs.pull_for_normal_worker(name, [FLOW, TAG], wait_s)
        if pulled is None:
            return False
        if pulled.kind in FLOW_KINDS:
            await self._turns.turn(pulled)
        else:
            await self._cluster.jobs.complete(pulled.workspace, pulled.job_id, DONE)
            marks.append((self._counters.read()[0], time.perf_counter()))
        return True

    async def _push(self, source: Source, args: dict[str, Any]) -> str:
        order = Order(
            workspace="main", source=source, args=json.dumps(args).encode(), options=RunOptions(),
            created_by="bench", permissioned_as="u/bench", email="bench@orvanta.local",
        )  # fmt: skip
        return await self._cluster.jobs.push(order)

    async def _is_over(self, flow_id: str) -> bool:
        ended = _plain("SELECT 1 FROM completed WHERE id = :id")
        row = await self._store.read(lambda db: db.execute(ended, {"id": flow_id}).fetchone())
        return row is not None

    async def _transitions(self) -> int:
        row = await self._store.read(lambda db: db.execute(_plain(VERSIONS)).fetchone())
        return int(row["transitions"])


def _plain(text: str) -> Statement:
    return Statement(text, for_psycopg(text))


def _loop() -> bytes:
    """One after another; each step's input is an expression of the kind that most are."""
    step = {
        "id": "step",
        "value": {
            "type": "rawscript", "language": "bash", "content": "echo", "tag": TAG,
            "input_transforms": {"x": {"type": "javascript", "expr": "flow_input.iter.value"}},
        },
    }  # fmt: skip
    loop = {
        "type": "forloopflow", "iterator": {"type": "javascript", "expr": "flow_input.items"},
        "modules": [step], "parallel": False, "skip_failures": False,
    }  # fmt: skip
    return json.dumps({"modules": [{"id": "loop", "value": loop}]}).encode()


def _print(name: str, rounds: Sequence[Round], steps: int) -> None:
    first, last = slice(0, EDGE + 1), slice(-EDGE - 1, None)
    for one in rounds:
        print(
            f"{name}: {steps} plain jobs {one.plain_s:.1f} s, a loop of {steps} steps {one.loop_s:.1f} s;"
            f" {one.plain_statements:.1f} statements a job, {one.per_step(first):.1f} a step at first,"
            f" {one.per_step(last):.1f} at last;"
            f" transitions/s: {one.alone_per_s:.0f} of one flow,"
            f" {one.together_per_s:.0f} of {SIDE_BY_SIDE} flows with as many workers"
        )
    print(ratio_line(
        f"{name}: statements per step, last {EDGE} / first {EDGE}",
        [one.per_step(last) for one in rounds], [one.per_step(first) for one in rounds],
    ))  # fmt: skip
    print(ratio_line(
        f"{name}: time of a step, last {EDGE} / first {EDGE}",
        [one.step_s(last) for one in rounds], [one.step_s(first) for one in rounds],
    ))  # fmt: skip
    print(ratio_line(
        f"{name}: a step of a loop / a plain job, time",
        [one.loop_s for one in rounds], [one.plain_s for one in rounds],
    ))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
