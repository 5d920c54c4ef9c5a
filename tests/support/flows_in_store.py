"""A cluster whose flows are driven by a normal worker in this process, which executes their steps itself.

Everything is real but the executor: the store, the pulls, the turns and the expressions.
"""

import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from msgspec import Raw

from bridge.flows import status
from bridge.flows.definition import parsed
from bridge.flows.deployed import NewFlow, preview_of
from bridge.flows.expressions.engine import Expressions
from bridge.flows.reading import FlowRecords
from bridge.flows.restarts import Restarts
from bridge.flows.resumes import Resumes, Word
from bridge.flows.turns import Turns
from bridge.jobs.lanes import FLOW_KINDS
from bridge.jobs.model import Cancel, Completion, FlowText, Order, Pulled, RunOptions
from bridge.jobs.scripts import Author, NewScript
from bridge.store.store import Connection, Row
from bridge.tokens.model import Identity, NewWorkspace
from bridge.tokens.workspaces import Workspaces
from tests.support.cluster import Running
from tests.support.databases import plain
from tests.support.flow_vectors import JobSeen, Outcome, Vector, check_shown, full_value

WORKER: Final = "wk-normal-1"
OWNER: Final = Identity(email="admin@orvanta.local", username="admin", superadmin=True)

READY: Final = plain("SELECT DISTINCT tag FROM queue WHERE state = 'ready' AND waits_for IS NULL")
NEXT_DUE: Final = plain("SELECT min(scheduled_for) AS due FROM queue WHERE state = 'later'")
JOBS: Final = plain(
    "SELECT job.id, job.flow_step_id, job.kind, job.tag, job.created_at, job.scheduled_for, job.script_path,"
    " job.priority, job.workspace_id FROM job LEFT JOIN flow_child ON flow_child.job_id = job.id"
    " AND flow_child.flow_id = job.parent_job WHERE job.workspace_id = :workspace"
    " ORDER BY job.created_at, flow_child.round, flow_child.position"
)
ENDED: Final = plain("SELECT status, result, skipped FROM completed WHERE id = :id")
OUT: Final = plain(
    "SELECT job.flow_step_id, count(*) AS jobs FROM queue JOIN job USING (id)"
    " WHERE job.workspace_id = :workspace AND job.flow_step_id IS NOT NULL"
    " GROUP BY job.parent_job, job.flow_step_id"
)
WAITING: Final = plain(
    "SELECT flow_run.id, flow_run.status FROM flow_run JOIN queue USING (id) JOIN job USING (id)"
    " WHERE job.workspace_id = :workspace ORDER BY job.created_at"
)
CHILD: Final = plain(
    "SELECT job_id FROM flow_child WHERE flow_id = :id AND module_id = :step ORDER BY round, position"
)


def flow_of(short: Any) -> bytes:
    """A flow written as the vectors are, as OpenFlow has it."""
    return json.dumps(full_value(short)).encode()


@dataclass(kw_only=True)
class Driver:
    running: Running
    turns: Turns
    workspace: str
    offline: set[str] = field(default_factory=set)
    at_once: Counter[str] = field(default_factory=Counter)
    executed: list[str] = field(default_factory=list)  # jobs' ids
    words: int = 0  # people's, so far

    async def rows(self, statement: Any, **values: Any) -> Sequence[Row]:
        def read(connection: Connection) -> Sequence[Row]:
            return connection.execute(statement, {"workspace": self.workspace, **values}).fetchall()

        return await self.running.store.read(read)

    async def push(self, source: FlowText, args: object, options: RunOptions | None = None) -> str:
        order = Order(
            workspace=self.workspace,
            source=source,
            args=json.dumps(args).encode(),
            options=options or RunOptions(),
            created_by="admin",
            permissioned_as="u/admin",
            email=OWNER.email,
        )
        return await self.running.cluster.jobs.push(order)

    async def work(self, worker: str = WORKER) -> bool:
        """One job that is ready is taken as far as it goes. False: none is."""
        pulled = await self.pull(worker)
        if pulled is None:
            return False
        await self.take_on(pulled)
        return True

    async def pull(self, worker: str = WORKER) -> Pulled | None:
        ready = {row["tag"] for row in await self.rows(READY)} - self.offline
        return await self.running.cluster.jobs.pull_for_normal_worker(worker, sorted(ready), 0)

    async def take_on(self, pulled: Pulled) -> None:
        if pulled.kind in FLOW_KINDS:
            await self.turns.turn(pulled)
            await self._count()
        else:
            await self.complete(pulled, self.executed_of(pulled))

    async def complete(self, pulled: Pulled, ended: Completion) -> None:
        await self.running.cluster.jobs.complete(pulled.workspace, pulled.job_id, ended)

    async def until_idle(self) -> None:
        while await self.work():
            pass

    async def _count(self) -> None:
        for row in await self.rows(OUT):
            self.at_once[row["flow_step_id"]] = max(self.at_once[row["flow_step_id"]], row["jobs"])

    def executed_of(self, pulled: Pulled) -> Completion:
        """What comes of the step's code, here and now."""
        self.executed.append(pulled.job_id)
        names: dict[str, Any] = {}
        try:
            exec(pulled.code, names)  # noqa: S102 the test's own code
            found = names[pulled.entrypoint or "main"](**json.loads(pulled.args))
            return Completion(success=True, result=json.dumps(found).encode())
        except Exception as error:  # noqa: BLE001 whatever a step's code raises is that step's failure
            told = {"name": type(error).__name__, "message": str(error)}
            return Completion(success=False, result=json.dumps(told).encode())

    async def pass_time(self) -> bool:
        """To the next moment that something waits for. False: nothing does."""
        (row,) = await self.rows(NEXT_DUE)
        if row["due"] is None:
            return False
        await self.pass_s(max(0.0, row["due"] - self.running.clock.wall_s()) + 0.001)
        return True

    async def pass_s(self, seconds: float) -> None:
        self.running.clock.ahead_s += seconds
        await self.running.cluster.jobs.pull_for_normal_worker(WORKER, [], 0)  # what is due becomes ready

    async def ended(self, job_id: str) -> Row | None:
        return next(iter(await self.rows(ENDED, id=job_id)), None)

    async def shown(self, flow_id: str) -> Mapping[str, Any]:
        text = await FlowRecords(self.running.store).status(self.workspace, flow_id)
        assert text is not None
        shown: Mapping[str, Any] = json.loads(text)
        return shown

    async def seen(self, since: str) -> list[JobSeen]:
        """The jobs of the flow `since` on, as they were pushed."""
        rows = await self.rows(JOBS)
        first = next(at for at, row in enumerate(rows) if row["id"] == since)
        start_s = rows[0]["created_at"]
        return [
            JobSeen(
                step_id=row["flow_step_id"],
                kind=row["kind"],
                tag=row["tag"],
                scheduled_in_s=round(row["scheduled_for"] - row["created_at"], 3),
                path=row["script_path"],
                priority=row["priority"],
                pushed_after_s=row["created_at"] - start_s,
            )
            for row in rows[first:]
        ]


@asynccontextmanager
async def flows_on(running: Running) -> AsyncIterator[Turns]:
    """Turns of a normal worker, with the expressions that it has."""
    async with Expressions() as expressions:
        yield running.cluster.turns(expressions)


async def outcome_of(running: Running, turns: Turns, vector: Vector, workspace: str) -> Outcome:
    """What comes of a vector in a workspace of its own."""
    await Workspaces(running.store).create(OWNER, NewWorkspace(id=workspace, name=workspace))
    driver = Driver(running=running, turns=turns, workspace=workspace, offline=set(vector.offline))
    await _deploy(driver, vector)
    run = vector.run
    options = RunOptions(tag=run.get("tag"), priority=run.get("priority"))
    flow_id = await driver.push(await _source(driver, vector), vector.args, options)
    acts = deque(vector.acts)
    await _until_ended(driver, flow_id, acts)
    if again := run.get("restart"):
        source, args = await Restarts(running.store).source(
            workspace, flow_id, again["step_id"], again.get("n")
        )
        flow_id = await driver.push(source, json.loads(args))
        await _until_ended(driver, flow_id, acts)
    ended = await driver.ended(flow_id)
    assert ended is not None
    return Outcome(
        status="skipped" if ended["skipped"] else ended["status"],
        result=json.loads(ended["result"]),
        flow_status=await driver.shown(flow_id),
        jobs=await driver.seen(flow_id),
        at_once=driver.at_once,
    )


async def _deploy(driver: Driver, vector: Vector) -> None:
    cluster = driver.running.cluster
    for path, script in vector.scripts.items():
        by = Author(OWNER.username, OWNER.email)
        await cluster.scripts.create(driver.workspace, NewScript(path=path, **script), by)
    for path, flow in vector.flows.items():
        value = Raw(json.dumps(flow).encode())
        await cluster.flows.create(driver.workspace, NewFlow(path=path, value=value), "admin")


async def _source(driver: Driver, vector: Vector) -> FlowText:
    run, path = vector.run, vector.run.get("path")
    text = json.dumps(vector.value).encode()
    source = preview_of(text, path, None)
    if run.get("preprocess"):
        begun = status.first_status(parsed(text), preprocess=True)
        source = replace(source, status=status.encoded(begun))
    return replace(source, kind=run.get("kind", "flowpreview"))


async def _until_ended(driver: Driver, flow_id: str, acts: deque[Mapping[str, Any]]) -> None:
    while await driver.ended(flow_id) is None:
        if not (await driver.work() or await _act(driver, flow_id, acts) or await driver.pass_time()):
            raise AssertionError(f"stuck: {await driver.shown(flow_id)}")


async def _act(driver: Driver, flow_id: str, acts: deque[Mapping[str, Any]]) -> bool:
    if not acts:
        return False
    act = dict(acts.popleft())
    if "sees" in act:
        check_shown(act["sees"], await driver.shown(flow_id))
    elif "online" in act:
        driver.offline.discard(act["online"])
    elif "cancel" in act:
        how = Cancel.FORCED if act.get("forced") else Cancel.ASKED
        jobs = driver.running.cluster.jobs
        await jobs.cancel(driver.workspace, flow_id, "ada", act["cancel"], how)
    elif "pass_s" in act:
        await driver.pass_s(act["pass_s"])
    else:
        await _word(driver, flow_id, act)
    return True


async def _word(driver: Driver, flow_id: str, act: Mapping[str, Any]) -> None:
    """By a signed link, for the step that is waited after, the step that the act names, or the flow."""
    waiting, job_id = flow_id, flow_id
    for row in await driver.rows(WAITING):
        for module in status.decoded(row["status"]).modules:
            if module.type == "WaitingForEvents" and module.job is not None:
                waiting, job_id = row["id"], module.job
    if act.get("flow_level"):
        job_id = waiting
    elif act.get("step"):
        named = await driver.rows(CHILD, id=waiting, step=act["step"])
        job_id = named[-1]["job_id"] if named else job_id
    resumes = Resumes(driver.running.store, driver.running.cluster.bulletin, driver.running.clock)
    approved = "resume" in act
    driver.words += 1
    word = Word(
        resume_id=driver.words,
        approved=approved,
        payload=json.dumps(act["resume"] if approved else None).encode(),
        approver=act.get("approver"),
    )
    signature = await resumes.signature(driver.workspace, job_id, word.resume_id, word.approver)
    await resumes.answer(driver.workspace, job_id, word, signature)
