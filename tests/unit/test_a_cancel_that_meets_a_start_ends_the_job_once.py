"""I7: the cancel comes when the job has its slot, and its start is not on disk yet."""

import asyncio
import json
from pathlib import Path

from agent.clock import SystemClock
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.jobs.book import Book
from agent.jobs.runner import Runner, Site
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job

KEY = (JobId("j"), Attempt(1))
JOB = Job(job_id=KEY[0], attempt=KEY[1], workspace="w", tag=Tag("t"), language="bash", code="", args=b"{}")


class UntilStopped:
    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, task: Task, _sink: Sink, stop: Stop) -> Outcome:
        self.ran.append(task.job_id)
        await stop.requested()
        return Outcome(success=False, result=b"{}", duration_ms=1, canceled_by=stop.by)


async def test_it_never_starts_and_its_result_says_who_wanted_that(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    executor = UntilStopped()
    runner = Runner(
        book,
        spool,
        executor,
        SystemClock(),
        slots=1,
        site=lambda: Site("", "", "", ""),
        link_is_up=bool,
        why_not=lambda _: "",
    )
    await book.hold(JOB, pack([JOB]))
    running = asyncio.ensure_future(runner.run())
    while not runner.running:  # noqa: ASYNC110 the very moment is meant
        await asyncio.sleep(0)
    await runner.cancel(KEY, "ana", "typo")
    await runner.drain()
    running.cancel()
    assert executor.ran == []
    assert (book.held, book.backlog) == (1, 1)
    result = await spool.result(KEY)
    assert result is not None
    assert result.canceled_by == "ana"
    assert json.loads(result.document)["name"] == "Canceled"
    await spool.close()
