"""I6: a full disk keeps jobs and results waiting, however long, and loses at most log text."""

import asyncio

from agent.executor.task import Outcome, Sink, Stop, Task
from agent.jobs.joblog import FLUSH_CHARS, FLUSH_EVERY_S, JOB_CHARS_MAX, JobLog
from agent.jobs.model import Event
from agent.jobs.upkeep import EVERY_S, STRETCH, WALK_EVERY, upkeep_of
from agent.spool.budget import LEAST_BYTES, MIB
from agent.spool.spool import SEEN_FOR_S
from tests.simulation.alone import Prompt, VirtualSite, in_virtual_time

LONG_S = 60.0
HEADER = "header\n"


async def fills_once(site: VirtualSite) -> None:
    """The disk fills, stays so for a while, and has room again."""
    site.disk.is_full = True
    await asyncio.sleep(LONG_S)
    site.disk.is_full = False


@in_virtual_time
async def test_a_start_that_was_refused_comes_later(site: VirtualSite) -> None:
    """First it cannot be written, then there is no room for a result; it runs once for all that."""
    key = await site.hold()
    executor = Prompt()
    runner = site.runner(executor)
    running = asyncio.ensure_future(runner.run())
    while not runner.running:  # noqa: ASYNC110 the very moment is meant
        await asyncio.sleep(0)
    await fills_once(site)
    assert executor.ran == []
    await site.kept(key)
    assert executor.ran == ["j"]
    running.cancel()


@in_virtual_time
async def test_a_result_that_was_refused_is_kept_later(site: VirtualSite) -> None:
    class Full(Prompt):
        async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome:
            site.disk.is_full = True
            return await super().run(task, sink, stop)

    key = await site.hold()
    executor = Full(LEAST_BYTES)
    running = asyncio.ensure_future(site.runner(executor).run())
    await asyncio.sleep(LONG_S)
    assert site.book.backlog == 0
    assert await site.spool.result(key) is None
    site.disk.is_full = False
    await site.kept(key)
    assert executor.ran == ["j"]
    running.cancel()


@in_virtual_time
async def test_an_end_without_a_run_that_was_refused_is_kept_later(site: VirtualSite) -> None:
    key = await site.hold(lives_s=LONG_S / 2)
    running = asyncio.ensure_future(site.runner(Prompt(), slots=0).run())
    await fills_once(site)
    assert site.book.backlog == 0
    assert b"Expired" in (await site.kept(key)).document
    running.cancel()


@in_virtual_time
async def test_a_cancel_waits_for_the_disk_and_the_job_does_not_start_meanwhile(site: VirtualSite) -> None:
    """I7."""
    key = await site.hold()
    executor = Prompt()
    runner = site.runner(executor)
    site.disk.is_full = True
    cancelling = asyncio.ensure_future(runner.cancel(key, "ana", "typo"))
    running = asyncio.ensure_future(runner.run())
    await asyncio.sleep(LONG_S)
    site.disk.is_full = False
    await cancelling
    assert executor.ran == []
    assert (await site.kept(key)).canceled_by == "ana"
    running.cancel()


@in_virtual_time
async def test_what_is_found_damaged_is_set_aside_once_the_disk_lets_it(site: VirtualSite) -> None:
    """A job whose not_after passes, and one whose result was damaged: the bytes of both are."""
    await site.hold("late", lives_s=LONG_S / 2)
    redone = await site.finish("redone")
    site.disk.connection.execute("UPDATE held SET body = x'00', interruptions = 9")
    await site.book.redo(redone)
    running = asyncio.ensure_future(site.runner(Prompt(), slots=0).run())
    await fills_once(site)
    while len(site.disk.rows("SELECT job_id FROM quarantine")) < 2:
        await site.book.changes.newer_than(site.book.changes.version)
    assert (site.book.held, site.book.orphans) == (0, {})
    running.cancel()


@in_virtual_time
async def test_a_job_waits_for_room_and_so_does_its_result(site: VirtualSite) -> None:
    """While other results are here, that make room when they leave."""
    site.allow(quota_bytes=8 * MIB)
    backlog = await site.finish("backlog")
    key = await site.hold()
    executor = Prompt(5 * MIB)
    site.spool.work_bytes = 8 * MIB
    running = asyncio.ensure_future(site.runner(executor).run())
    await asyncio.sleep(LONG_S)
    assert executor.ran == []
    site.spool.work_bytes = 4 * MIB
    await asyncio.sleep(LONG_S)
    assert executor.ran == ["j"]
    assert await site.spool.result(key) is None
    await site.book.forget([backlog])
    await site.kept(key)
    assert executor.ran == ["j"]
    running.cancel()


@in_virtual_time
async def test_log_text_that_was_refused_is_named_as_a_gap(site: VirtualSite) -> None:
    """I5."""
    key = await site.hold()
    await site.book.apply(key, Event.STARTED)
    joblog = JobLog(site.spool, key, 0, HEADER)
    flushing = asyncio.ensure_future(joblog.run())
    joblog.write("kept")
    await asyncio.sleep(2 * FLUSH_EVERY_S)
    site.disk.is_full = True
    for text in ("lost", "gone"):
        joblog.write(text)
        await asyncio.sleep(2 * FLUSH_EVERY_S)
    joblog.end()
    await flushing
    closing = asyncio.ensure_future(joblog.close())
    await asyncio.sleep(LONG_S)
    assert not closing.done()
    site.disk.is_full = False
    await closing
    text = "".join(chunk.text for chunk in await site.spool.pending_log(10))
    assert text == f"{HEADER}kept\n[... 8 bytes dropped: log limit ...]\n"
    assert joblog.length == len(text)


@in_virtual_time
async def test_much_text_is_kept_at_once_and_too_much_is_named_as_a_gap(site: VirtualSite) -> None:
    key = await site.hold()
    joblog = JobLog(site.spool, key, 0, HEADER)
    flushing = asyncio.ensure_future(joblog.run())
    version = site.spool.log_changes.version
    joblog.write("")
    joblog.write("x" * FLUSH_CHARS)
    began_s = site.loop.time()
    await site.spool.log_changes.newer_than(version)
    assert site.loop.time() - began_s < FLUSH_EVERY_S
    joblog.write("y" * JOB_CHARS_MAX)
    joblog.end()
    await flushing
    await joblog.close()
    last = (await site.spool.pending_log(100))[-1]
    assert last.text == f"\n[... {JOB_CHARS_MAX} bytes dropped: log limit ...]\n"
    assert last.offset == len(HEADER) + FLUSH_CHARS


@in_virtual_time
async def test_the_dedupe_memory_is_walked_through_once_a_day_also_on_a_disk_that_was_full(
    site: VirtualSite,
) -> None:
    keys = [await site.hold(f"{number:04}") for number in range(STRETCH + 1)]
    await site.book.forget(keys)
    upkeep = asyncio.ensure_future(upkeep_of(site.spool))
    await asyncio.sleep(SEEN_FOR_S - EVERY_S)
    site.disk.is_full = True
    await asyncio.sleep(2 * WALK_EVERY * EVERY_S)
    assert await remembered(site) == STRETCH + 1
    site.disk.is_full = False
    await asyncio.sleep(2 * WALK_EVERY * EVERY_S)
    assert await remembered(site) == 0
    upkeep.cancel()


async def remembered(site: VirtualSite) -> int:
    found = site.disk.rows("SELECT count(*) FROM seen")
    return int(found[0][0])
