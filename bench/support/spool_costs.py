"""What one job costs in a spool that holds many, through the agent's own book and spool."""

import asyncio
import os
import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event, Held, State
from agent.jobs.unfinished import Unfinished
from agent.spool.spool import SEEN_FOR_S, Spool
from agent.wire.claims import Attempt, JobId
from agent.wire.envelope import pack
from agent.wire.messages import Delivery
from bench.support import proc, spools

AT_ONCE: Final = 8  # jobs on their way through the spool at the same time: they share fsyncs as they would
SIZE: Final = 512  # bytes of a result's document


@dataclass(frozen=True, slots=True)
class Cost:
    wall_us: float
    cpu_us: float
    written_bytes: float


async def job_cost(folder: Path, jobs: int) -> Cost:
    """Per job: hold, accepted, start, finish, sent, forget."""
    spool = await Spool.open(folder, SystemClock())
    book = Book(spool, SystemClock())
    await book.load()
    numbers = iter(range(jobs))

    async def pass_through() -> None:
        for _ in numbers:
            one = spools.job(uuid.uuid4().int)
            key = (one.job_id, one.attempt)
            await book.hold(one, pack([one]))
            await book.note_accepted([key])
            await book.apply(key, Event.STARTED)
            await book.finish(key, Event.EXITED, spools.result(one, spools.document(0, SIZE)))
            await book.note_sent([key])
            await book.forget([key])

    written, began_s, cpu_s = proc.written_bytes(os.getpid()), time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(pass_through())
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
    written = proc.written_bytes(os.getpid()) - written
    await spool.close()
    return Cost(wall_s / jobs * 1e6, cpu_s / jobs * 1e6, written / jobs)


def unstarted_cost_us(held: int, events: int) -> float:
    """Per job taken in, chosen and let go, while `held` that have not started are in memory."""
    unfinished = Unfinished()
    for number in range(held):
        unfinished.put(_held(number))
    began_s = time.perf_counter()
    for number in range(held, held + events):
        unfinished.put(_held(number))
        (best,) = unfinished.ready(1)
        unfinished.drop(best.key)
    return (time.perf_counter() - began_s) / events * 1e6


def _held(number: int) -> Held:
    return Held(
        job_id=JobId(str(number)), attempt=Attempt(1), tag=spools.TAG, state=State.READY,
        delivery=Delivery.AT_LEAST_ONCE, held_at=float(number), expires_s=1e9 + number,
    )  # fmt: skip


def seen_mb(folder: Path, jobs: int) -> float:
    """Size of the dedupe memory of so many jobs."""
    with closing(sqlite3.connect(spools.empty(folder))) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (before,) = database.execute("PRAGMA page_count").fetchone()
        rows = [(str(uuid.uuid4()), 1, SEEN_FOR_S) for _ in range(jobs)]
        database.executemany("INSERT INTO seen (job_id, attempt, at) VALUES (?, ?, ?)", rows)
        database.commit()
        (after,) = database.execute("PRAGMA page_count").fetchone()
        (page_size,) = database.execute("PRAGMA page_size").fetchone()
    return (after - before) * page_size / 1e6
