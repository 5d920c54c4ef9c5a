"""One run of chaos: faults and jobs side by side, then quiet, then the count."""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.checker import Evidence, check, is_whole
from tests.chaos.desk import Desk, open_desk
from tests.chaos.faults import Faults
from tests.chaos.journal import read_starts
from tests.chaos.keeper import Keeper
from tests.chaos.plan import SITES, Fault, plan
from tests.chaos.stage import Stage
from tests.chaos.timing import pass_time
from tests.chaos.work import orders

LOOK_EVERY_S: Final = 2.0
EVERYWHERE_EACH: Final = 10  # looks; the others stop at the first page without news
SAY_EVERY_S: Final = 30.0
STUCK_S: Final = 120.0  # without one more result, after all is whole again, the rest is lost
USUAL_QUIET_S: Final = 45.0  # from the last fault to the last result
SETTLE_S: Final = 90.0  # for receipts and log text that follow the last result
READERS: Final = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    seed: int
    minutes: float
    jobs: int
    faults: int

    @property
    def faults_s(self) -> float:
        return 60 * self.minutes

    @property
    def plan(self) -> list[Fault]:
        return plan(self.seed, self.faults, self.faults_s)


@dataclass(slots=True)
class Verdict:
    seed: int
    jobs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    ends: Counter[str] = field(default_factory=Counter)  # how the jobs ended
    violations: list[str] = field(default_factory=list)


class Run:
    def __init__(self, stage: Stage, wanted: Wanted, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._wanted = wanted
        self._say = say
        self._said_s = 0.0
        self._began_s = time.monotonic()
        self._desk: Desk
        self._keeper: Keeper
        self._faults: Faults

    async def whole(self) -> Verdict:
        await self._stage.bridge.start()
        async with open_desk(self._stage.bridge.url, self._wanted.seed) as desk:
            await asyncio.to_thread(self._stage.open_sites)
            self._desk, self._keeper = desk, Keeper(self._stage)
            self._faults = Faults(self._stage, self._keeper, desk)
            async with _beside(self._keeper.run(), "keeper"):
                async with _beside(self._watch(), "watch"), asyncio.TaskGroup() as group:
                    group.create_task(self._faults.carry_out(self._wanted.plan), name="faults")
                    rate = self._wanted.jobs / max(1.0, 0.95 * self._wanted.faults_s)
                    todo = orders(self._wanted.seed, self._wanted.jobs)
                    group.create_task(desk.submit(todo, rate), name="submit")
                await self._quiet()
                return await self._count()

    async def _watch(self) -> None:
        for turn in itertools.count(1):
            await self._desk.look(everywhere=turn % EVERYWHERE_EACH == 0)
            self._progress()
            await pass_time(LOOK_EVERY_S)

    def _progress(self) -> None:
        """Always on a terminal, now and then elsewhere."""
        if not sys.stderr.isatty() and time.monotonic() - self._said_s < SAY_EVERY_S:
            return
        self._said_s = time.monotonic()
        seen, faults = self._desk.seen, self._faults
        self._say(
            f"{time.monotonic() - self._began_s:4.0f} of about {self._usual_s:.0f} s: "
            f"{len(seen.submitted)} submitted, "
            f"{len(seen.first)} recorded, {faults.done.total()} faults over, {faults.under_way} under way"
        )

    @property
    def _usual_s(self) -> float:
        """What the whole run takes, where nothing is lost."""
        return self._wanted.faults_s + USUAL_QUIET_S

    async def _quiet(self) -> None:
        """Until every job has its result, or none comes any more."""
        turns = itertools.count()
        progress, since_s = -1, time.monotonic()
        while self._desk.seen.missing and time.monotonic() - since_s < STUCK_S:
            await self._desk.look(everywhere=next(turns) % EVERYWHERE_EACH == 0)
            self._progress()
            if len(self._desk.seen.first) != progress:
                progress, since_s = len(self._desk.seen.first), time.monotonic()
            await pass_time(LOOK_EVERY_S)

    async def _count(self) -> Verdict:
        left = await self._settled()
        await self._desk.look(everywhere=True)
        seen = self._desk.seen
        verdict = Verdict(self._wanted.seed, len(seen.submitted), self._faults.done)
        verdict.violations += self._keeper.findings + left
        for job in await self._evidence():
            verdict.starts += len(job.starts)
            verdict.ends[_end_of(job.record)] += 1
            verdict.violations += check(job)
        return verdict

    async def _settled(self) -> list[str]:
        """What is still held when all has been recorded: receipts that never came, rows left open."""
        end_s = time.monotonic() + SETTLE_S
        while (left := await self._left()) and time.monotonic() < end_s:
            self._say(
                f"{time.monotonic() - self._began_s:4.0f} s: {len(left)} still held, such as: {left[0]}"
            )
            await pass_time(LOOK_EVERY_S)
        return left

    async def _left(self) -> list[str]:
        rows = [row for row in await self._desk.custody() if row["state"] != "closed"]
        found = [f"I1: the ledger still has {row['job_id']} {row['attempt']} {row['state']}" for row in rows]
        for name in SITES:
            status = await asyncio.to_thread(self._stage.agents[name].status)
            if status.get("custody", "nothing to read") != {}:
                found.append(f"I1: {name} still holds {status.get('custody')}")
            if status.get("quarantined"):
                found.append(f"I3: {name} has {status['quarantined']} damaged rows")
        return found

    async def _evidence(self) -> list[Evidence]:
        """Every record once, and once more where log text is still on its way."""
        starts = read_starts(self._stage.journals())
        custody: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row in await self._desk.custody():
            custody[row["job_id"]].append(row)
        jobs = await self._records(list(self._desk.seen.submitted), starts, custody)
        end_s = time.monotonic() + SETTLE_S
        while (late := [one.order.job_id for one in jobs if not is_whole(one)]) and time.monotonic() < end_s:
            await pass_time(LOOK_EVERY_S)
            again = {one.order.job_id: one for one in await self._records(late, starts, custody)}
            before = jobs
            jobs = [again.get(one.order.job_id, one) for one in jobs]
            if all(_log(one) == _log(other) for one, other in zip(jobs, before, strict=True)) and end_s:
                end_s = min(end_s, time.monotonic() + SETTLE_S / 3)
        return jobs

    async def _records(self, job_ids: Sequence[str], starts: Mapping, custody: Mapping) -> list[Evidence]:
        seen, waiting, found = self._desk.seen, iter(job_ids), []
        workers = {
            row["custodian"]: name
            for name in self._keeper.had_full_disk
            for rows in custody.values()
            for row in rows
            if row["custodian"] and row["custodian"].startswith(f"ag-{name}-")
        }

        async def read_some() -> None:
            for job_id in waiting:
                record = await self._desk.record(job_id) if job_id in seen.first else None
                rows = custody.get(job_id, [])
                found.append(Evidence(
                    order=seen.submitted[job_id], starts=starts.get(job_id, []), first=seen.first.get(job_id),
                    record=record, custody=rows, changed=job_id in seen.changed,
                    had_full_disk=any(row["custodian"] in workers for row in rows),
                ))  # fmt: skip

        async with asyncio.TaskGroup() as group:
            for number in range(READERS):
                group.create_task(read_some(), name=f"read {number}")
        return found


@asynccontextmanager
async def _beside(work: Any, name: str) -> AsyncIterator[None]:
    """Runs for as long as the block does; its own failure ends the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work, name=name)
        yield
        task.cancel()


def _end_of(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "none"
    if record["success"]:
        return "success"
    with suppress(AttributeError, KeyError):
        return str(record["result"]["error"]["name"])
    return json.dumps(record["result"])[:40]


def _log(job: Evidence) -> str:
    return "" if job.record is None else job.record["logs"] or ""
