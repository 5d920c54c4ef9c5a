"""What an agent holds, in one request for all its jobs: kept alive, cancelled, fenced, given up as lost."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.wire.claims import WorkerName
from bridge.agents.model import CanceledJob, HeldJob, HeldJobs, HeldReply
from bridge.jobs.formers import Formers
from bridge.jobs.service import Jobs
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("agents.sql"))
LOST: Final = "its agent lost it"


class Holding:
    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._formers = Formers(store)
        self._store = store
        self._jobs = jobs

    async def heard(self, worker: WorkerName, held: HeldJobs, wait_s: float) -> HeldReply:
        """Answer when there is something to say, or after `wait_s`.

        Of a job that the agent has got since it asked there may be something to say too: then it asks again.
        """
        with self._jobs.cancels.watched(worker) as news:
            reply = await self._reply(worker, held)
            if reply != HeldReply() or self._jobs.closing:
                return reply
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await news.wait()
        return await self._reply(worker, held)

    async def take_from(self, worker: WorkerName, why: str, *, is_trusted: bool) -> None:
        """All that was handed to this worker over HTTP, now: its token has ended."""

        def look(connection: Connection) -> list[str]:
            return [row["id"] for row in connection.execute(SQL["given_to"], {"worker": worker})]

        if given := await self._store.read(look):
            await self._jobs.give_up(dict.fromkeys(given, why))
        if not is_trusted:
            await self._formers.distrust(worker)

    async def take_back(self, worker: WorkerName, held: HeldJobs) -> None:
        """What the worker lost, or what never reached it, runs anew or ends as its rules say (I1, I2)."""
        if not held.all and not held.lost:
            return
        there = {job.id for job in held.jobs}
        lost_here = {(job.id, job.attempt) for job in held.lost}
        asking = {held.asking} if isinstance(held.asking, str) else set(held.asking)

        def is_lost(row: Row) -> bool:
            never_came = held.all and row["id"] not in there and row["request_id"] not in asking
            return never_came or (row["id"], row["attempt"]) in lost_here

        def look(connection: Connection) -> list[str]:
            given = connection.execute(SQL["given_to"], {"worker": worker}).fetchall()
            return [row["id"] for row in given if is_lost(row)]

        if lost := await self._store.read(look):
            await self._jobs.give_up(dict.fromkeys(lost, LOST))

    async def _reply(self, worker: WorkerName, held: HeldJobs) -> HeldReply:
        """Those that are still the worker's count as heard of."""
        reply = HeldReply()

        def look(connection: Connection) -> list[str]:
            return [job.id for job in held.jobs if _judge(connection, worker, job, reply)]

        for job_id in await self._store.read(look):
            self._jobs.heartbeats.note(job_id)
        return reply


def _judge(connection: Connection, worker: WorkerName, job: HeldJob, reply: HeldReply) -> bool:
    """Whether it is the worker's. What there is to say of it goes into `reply`."""
    row = connection.execute(SQL["held"], {"id": job.id}).fetchone()
    if row is None or row["state"] is None:
        reply.over.append(job)
        return False
    if (row["state"], row["worker"], row["attempt"]) != ("running", worker, job.attempt):
        reply.elsewhere.append(job)
        return False
    if row["canceled_by"] is not None and not job.canceled:
        reply.canceled.append(
            CanceledJob(job.id, job.attempt, row["canceled_by"], row["canceled_reason"] or "")
        )
    return True
