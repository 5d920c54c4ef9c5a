"""The cluster's jobs: pushed, pulled, kept alive, ended. The relay calls it in process."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Claims, Tag
from agent.wire.messages import Delivery
from bridge.dependencies.finding import with_scripts
from bridge.errors import NotFound
from bridge.jobs import joblog, push, repeats, transitions
from bridge.jobs.arguments import Arguments, Unresolved
from bridge.jobs.arrivals import Arrivals
from bridge.jobs.carrying import Carry, carry_nothing
from bridge.jobs.completions import note_completed
from bridge.jobs.due import Due
from bridge.jobs.giving_up import GivenUp, give_up
from bridge.jobs.heartbeats import Heartbeats
from bridge.jobs.lanes import is_reserved, lane_of, of_agents
from bridge.jobs.model import Cancel, Completed, Completion, Order, PingReply, Pulled, error_object
from bridge.jobs.news import READY, Kind, News
from bridge.jobs.patience import patience_with
from bridge.jobs.results import checked_result, ping_reply
from bridge.jobs.rules import Rules
from bridge.jobs.tag_rules import TagRules
from bridge.jobs.transitions import Also, runs_of
from bridge.store.bulletin import Bulletin, Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store
from bridge.tokens.jobs import JobTokens

SQL: Final = queries(Path(__file__).with_name("jobs.sql"))

HEARTBEATS_S: Final = 1.0  # as many as were heard in that time are told at once

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """With a pull: its name, if it may come again, and the languages that count (`transitions.runs_of`)."""

    request_id: str | None = None
    runs: str | None = None


class Jobs:
    """Every change is one transaction, durable when the call returns."""

    def __init__(
        self,
        store: Store,
        bulletin: Bulletin,
        clock: Clock,
        tokens: JobTokens,
        arguments: Arguments,
        tags: TagRules,
        rules: Rules,
    ) -> None:
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._tokens = tokens
        self._arguments = arguments
        self._tags = tags
        self._rules = rules
        self._available = asyncio.Event()
        self._arrivals = Arrivals()
        self._due = Due(store, bulletin, clock)
        self.heartbeats = Heartbeats(clock)
        self.endings = News()  # by job: of its runs
        self.cancels = News()  # by the worker that has the job
        self.closing = False
        self.with_bundle: Carry = carry_nothing
        bulletin.on(Kind.PUSHED, self._pushed, self._wake)
        bulletin.on(Kind.READY, lambda _: self._wake(), self._wake)
        bulletin.on(Kind.LATER, lambda _: self._later(), self._wake)
        bulletin.on(Kind.OVER, self._over, self.endings.note_all)
        bulletin.on(Kind.CANCELED, self.cancels.note, self.cancels.note_all)
        bulletin.on(Kind.ALIVE, self.heartbeats.note_of_another, self.heartbeats.forget_all)

    async def push(self, order: Order) -> str:
        """A new job's id. Raises `BadRequest` and `NotFound`; then there is no job."""
        now_s = self._clock.wall_s()

        def write(connection: Connection, tell: Tell) -> str:
            job_id, lane = push.push(connection, order, self._tags, now_s)
            tell(Note(Kind.PUSHED, lane))
            return job_id

        return await self._bulletin.write(write)

    async def push_init(self, worker: str, content: str, *, periodic: bool = False) -> str:
        """The id of a worker's init or periodic script, to be fetched with `held` (agent-api.md 6)."""
        now_s = self._clock.wall_s()
        push_own = push.push_periodic if periodic else push.push_init
        job_id = await self._store.write(lambda connection: push_own(connection, worker, content, now_s))
        self.heartbeats.note(job_id)
        return job_id

    async def wait_for_push(self, timeout_s: float) -> None:
        """Return when a job became available since the last call, or after `timeout_s`.

        Pushed, due by its `scheduled_for`, given up by a silent worker, or let in by its concurrency key.
        For one waiter: whoever returns first has taken the news.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout_s, await self._due.until_s())):
                await self._available.wait()
        await self._due.until_s()
        self._available.clear()

    @property
    def empty_tags(self) -> AbstractSet[str]:
        """Of these no job is ready: a pull of them finds none, and costs the store nothing."""
        return self._arrivals.empty

    async def look_for_untold(self) -> None:
        """Ask the store for what is ready and nobody was told of. It costs one statement, whoever waits."""
        rows = await self._store.read(lambda connection: connection.execute(SQL["ready_tags"]).fetchall())
        for tag in self._arrivals.empty & {row["tag"] for row in rows}:
            log.warning("job.untold", tag=tag)
            self._pushed(tag)

    async def pull(
        self,
        worker: str,
        tags: Sequence[str],
        request_id: str | None = None,
        *,
        is_repeat: bool = True,
        languages: AbstractSet[str] | None = None,
    ) -> Pulled | None:
        """The best ready job of these tags, now running on `worker`; None when there is none.

        Best: highest priority, then longest due, then oldest (agent-api.md 2.2). Asked again with the same
        `request_id`, it is the same job, so that a lost answer strands none; `is_repeat`: it may have been
        asked before. A job whose arguments name what is not there ends here instead. Never one that is for
        normal workers, nor of a language that is not among `languages`.
        """
        asked = _Asked(request_id, runs_of(languages))
        return await self._pull(worker, of_agents(tags), asked, is_repeat=is_repeat)

    async def _pull(
        self, worker: str, tags: Sequence[str], asked: _Asked, *, is_repeat: bool
    ) -> Pulled | None:
        while True:
            await self._due.until_s()
            if self._arrivals.are_empty(tags) and (asked.request_id is None or not is_repeat):
                return None
            row = await self._take(worker, tags, asked)
            if row is None:
                return None
            self.heartbeats.note(row["job_id"])
            pulled = self._pulled(row)
            if pulled.pre_run_error is not None:
                await self._end_unrun(pulled, "PreRunError", pulled.pre_run_error)
                continue
            if is_reserved(lane_of(pulled.kind, pulled.tag)):
                return pulled  # whoever runs its steps resolves what they need
            try:
                resolved = await with_scripts(self._store, await self._arguments.resolve(pulled))
                return await self.with_bundle(resolved)
            except Unresolved as error:
                await self._end_unrun(pulled, "NotFound", str(error))

    async def _end_unrun(self, pulled: Pulled, name: str, why: str) -> None:
        ended = Completion(success=False, result=json.dumps(error_object(name, why)).encode())
        await self.complete(pulled.workspace, pulled.job_id, ended)

    async def _take(self, worker: str, tags: Sequence[str], asked: _Asked) -> Row | None:
        """Ask the store. Where jobs of other languages are ready, the tags are not empty."""
        about = (worker, tags, self._clock.wall_s(), asked.request_id)
        best = partial(transitions.take_best, runs=asked.runs)
        beside = partial(transitions.take_beside, runs=asked.runs)

        def alone(connection: Connection, tell: Tell) -> Row | None:
            return repeats.take(connection, *about, partial(best, tell=tell))

        with self._arrivals.look(tags) as look:
            row = await self._bulletin.write_beside(
                lambda connection, _: repeats.take(connection, *about, beside), alone
            )
            others = (
                row is None
                and asked.runs is not None
                and await self._store.read(lambda connection: transitions.any_ready(connection, tags))
            )
            look.found_none = row is None and not others
        return row

    async def pull_in_time(
        self,
        worker: str,
        tags: Sequence[str],
        request_id: str | None,
        wait_s: float,
        *,
        is_repeat: bool = True,
        languages: AbstractSet[str] | None = None,
    ) -> Pulled | None:
        """As `pull`, but when there is none, wait for one up to `wait_s`."""
        asked = _Asked(request_id, runs_of(languages))
        return await self._pull_in_time(worker, of_agents(tags), asked, wait_s, is_repeat=is_repeat)

    async def pull_for_normal_worker(self, worker: str, tags: Sequence[str], wait_s: float) -> Pulled | None:
        """As `pull_in_time`, for a normal worker of this cluster: reserved lanes are tags like others."""
        return await self._pull_in_time(worker, tags, _Asked(), wait_s, is_repeat=False)

    async def _pull_in_time(
        self, worker: str, tags: Sequence[str], asked: _Asked, wait_s: float, *, is_repeat: bool
    ) -> Pulled | None:
        until_s = self._clock.monotonic_s() + wait_s
        with self._arrivals.awaited(tags) as news:
            while True:
                news.clear()
                try:
                    pulled = await self._pull(worker, tags, asked, is_repeat=is_repeat)
                except BaseException:
                    news.set()  # it was told for somebody who can take the job
                    raise
                is_repeat = False  # what it got before would have been found
                if pulled is None and not self._arrivals.are_empty(tags):
                    self._arrivals.pass_on(tags, news)  # what is there is of a language that another may run
                left_s = until_s - self._clock.monotonic_s()
                if pulled is not None or left_s <= 0 or self.closing:
                    news.set() if pulled else news.clear()
                    return pulled
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, await self._due.until_s())):
                        await news.wait()

    def close(self) -> None:
        """The bridge is about to end: nobody is kept waiting."""
        self.closing = True
        self._arrivals.note_to_all()
        self.cancels.note_all()

    async def put_back(self, worker: str, out: frozenset[str]) -> int:
        """Queue again what `worker` pulled, except what is `out` at a site; how many."""

        def write(connection: Connection, tell: Tell) -> int:
            pulled = [row["id"] for row in connection.execute(SQL["pulled_by"], {"worker": worker})]
            unsent = [{"id": job_id, "worker": worker} for job_id in pulled if job_id not in out]
            connection.executemany(SQL["put_back"], unsent)
            if unsent:
                tell(READY)
            return len(unsent)

        return await self._bulletin.write(write)

    async def held(self, job_id: str, worker: str) -> Pulled | None:
        """The job that `worker` queued for itself, or None."""
        row = await self._store.read(lambda connection: transitions.read_held(connection, job_id, worker))
        return None if row is None else self._pulled(row)

    async def ping(self, job_id: str, worker: str, mem_peak_kb: int | None) -> PingReply:
        """The worker has the job still. Fenced: a stranger is told `already_completed`."""
        (reply,) = await self.ping_all([job_id], worker)
        if not reply.already_completed and mem_peak_kb is not None:
            self.heartbeats.note(job_id, mem_peak_kb)
        return reply

    async def ping_all(self, job_ids: Sequence[str], worker: str) -> list[PingReply]:
        """As `ping` for many, in their order, in one statement."""
        ids = {"ids": json.dumps(dict.fromkeys(job_ids, 1)), "worker": worker}

        def read(connection: Connection) -> dict[str, Row]:
            return {row["id"]: row for row in connection.execute(SQL["ping"], ids)}

        held = await self._store.read(read)
        for job_id in held:
            self.heartbeats.note(job_id)
        return [ping_reply(held.get(job_id)) for job_id in job_ids]

    async def complete(
        self,
        workspace: str,
        job_id: str,
        completion: Completion,
        *,
        caller: Claims | None = None,
        also: Also | None = None,
    ) -> Completed:
        """Record how the job ended. Idempotent, the first wins (I1); durable on return.

        With `caller`, a job that is neither of its tags nor given to it is `UNKNOWN` (I4). `also`: what the
        job was for, done in the same transaction, when it is this completion that counts.
        """
        completion, result = checked_result(completion)
        heard = self.heartbeats.last(job_id)
        if completion.mem_peak_kb is None and heard is not None:
            completion = replace(completion, mem_peak_kb=heard.mem_peak_kb)
        now_s = self._clock.wall_s()
        outcome = await self._bulletin.write(
            lambda connection, tell: transitions.complete(
                connection,
                workspace,
                job_id,
                completion,
                result=result,
                now_s=now_s,
                caller=caller,
                rules=self._rules,
                tell=tell,
                also=also,
            )
        )
        if outcome is Completed.RECORDED:
            note_completed(job_id, completion)
        return outcome

    async def append_log(
        self,
        workspace: str,
        job_id: str,
        text: str,
        *,
        writer: str | None = None,
        offset: int | None = None,
        caller: Claims | None = None,
    ) -> None:
        """Append to the job's text. With `writer` and `offset` exactly once and in order (I5).

        `offset` counts the characters of that writer's stream before `text`. Raises `NotFound`.
        """

        def append(connection: Connection) -> None:
            row = transitions.standing(connection, job_id, workspace)
            if row is None or not transitions.may_speak(row, caller):
                raise NotFound(f"job {job_id} not found in workspace {workspace}")
            if writer is not None and offset is not None:
                joblog.append_once(connection, job_id, text, writer, offset)
            else:
                joblog.append(connection, job_id, text)

        await self._store.write(append)

    async def cancel(
        self,
        workspace: str,
        job_id: str,
        by: str,
        reason: str | None,
        how: Cancel = Cancel.ASKED,
    ) -> None:
        """Not running, or forced: it ends now (I7). Running: its worker learns of it at its next ping.

        Raises `NotFound`.
        """
        now_s = self._clock.wall_s()
        await self._bulletin.write(
            lambda connection, tell: transitions.cancel(
                connection,
                workspace,
                job_id,
                by=by,
                reason=reason,
                how=how,
                now_s=now_s,
                tell=tell,
            )
        )

    async def flag_canceled(self, job_id: str, by: str, reason: str, *, caller: Claims | None = None) -> None:
        """What a worker says before it stops a job itself. Raises `NotFound`."""
        await self._store.write(
            lambda connection: transitions.flag_canceled(connection, job_id, by, reason, caller)
        )

    async def sweep_zombies(self, timeout_s: float) -> int:
        """Restart, or after three restarts fail, what was not pinged for too long; how many (5.3)."""
        silent = await self.silent(timeout_s)
        return await self.give_up(silent) if silent else 0

    async def silent(self, timeout_s: float) -> dict[str, str]:
        """The jobs that were not pinged for too long, and after what. Those that do not run are forgotten."""
        running = await self._store.read(lambda connection: connection.execute(SQL["running"]).fetchall())
        patience_s = {row["id"]: patience_with(row, self._rules, timeout_s) for row in running}
        silent = self.heartbeats.silent(patience_s)
        return {job_id: f"no ping from job for {patience_s[job_id]:.0f} s" for job_id in silent}

    async def give_up(self, lost: Mapping[str, str]) -> int:
        """Take these jobs from their workers, each after what it says; how many were with one."""
        now_s = self._clock.wall_s()
        became = await self._bulletin.write(
            lambda connection, tell: give_up(connection, lost, self._rules, now_s, tell)
        )
        for job_id, outcome in zip(lost, became, strict=True):
            log.warning("job.zombie", job_id=job_id, outcome=outcome.value)
        return len(lost) - became.count(GivenUp.GONE)

    async def tell_heartbeats(self) -> None:
        """For ever: other bridges learn whom this one has heard of."""
        while True:
            await self.heartbeats.news.wait()
            with suppress(WriteFailed):  # whoever is alive says so again
                await self._bulletin.tell_others(self.heartbeats.untold())
            await asyncio.sleep(HEARTBEATS_S)

    def _pushed(self, tag: str) -> None:
        self._due.forget()
        self._arrivals.note([tag])
        if not is_reserved(tag):  # what normal workers take is no news to `wait_for_push`
            self._available.set()

    def _over(self, job_id: str) -> None:
        self.heartbeats.forget(job_id)
        self.endings.note(job_id)

    def _later(self) -> None:
        """Another moment may be the next to wait for."""
        self._due.forget()
        self._available.set()

    def _wake(self) -> None:
        """Jobs may be there that nobody pushed now."""
        self._later()
        self._arrivals.note()

    def _pulled(self, row: Row) -> Pulled:
        token = self._tokens.mint(
            job_id=row["job_id"],
            workspace=row["workspace"],
            created_by=row["created_by"],
            email=row["email"],
            own_job_only=bool(row["same_worker"]),
        )
        delivery = self._rules.delivery(Tag(row["tag"]), Delivery(row["delivery"]))
        values = {
            **row,
            "args": row["args"].encode(),
            "same_worker": bool(row["same_worker"]),
            "delivery": delivery.value,
        }
        return Pulled(**values, token=token)
