"""Two things befall one job in the same turn of the loop; virtual time makes it always the same turn."""

import asyncio
from collections.abc import Sequence

import pytest

from agent.database import WriteFailed
from agent.jobs.model import Event, Key, OutOfOrder, State
from agent.jobs.outbox import Outbox
from agent.jobs.parts import Parts
from agent.wire.envelope import BLOB_PART_BYTES
from agent.wire.messages import Message, Result
from tests.simulation.alone import Prompt, VirtualSite, in_virtual_time

LARGE = b'"' + b"x" * 3 * BLOB_PART_BYTES + b'"'


async def at_its_start(site: VirtualSite, executor: Prompt, turns: int) -> Key:
    """A job that has its slot, so many turns of the loop ago."""
    key = await site.hold()
    runner = site.runner(executor)
    running = asyncio.ensure_future(runner.run())
    while not runner.running:  # noqa: ASYNC110 the very moment is meant
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    await runner.cancel(key, "ana", "typo")
    await runner.drain()
    running.cancel()
    return key


@in_virtual_time
async def test_a_cancel_before_the_start_is_written_ends_the_job_unrun(site: VirtualSite) -> None:
    executor = Prompt()
    key = await at_its_start(site, executor, turns=0)
    assert (await site.kept(key)).canceled_by == "ana"
    assert executor.ran == []  # I7


@in_virtual_time
async def test_a_cancel_while_the_start_is_written_stops_the_job(site: VirtualSite) -> None:
    executor = Prompt()
    key = await at_its_start(site, executor, turns=1)
    await site.kept(key)
    assert [stop.by for stop in executor.stops] == ["ana"]


@in_virtual_time
async def test_a_job_that_is_let_go_when_it_expires_is_not_held_again(site: VirtualSite) -> None:
    key = await site.hold(lives_s=1.0)
    await asyncio.sleep(2)
    await let_go_at_the_first_turn(site, key)


@in_virtual_time
async def test_a_job_that_is_let_go_when_it_is_to_run_again_is_not_held_again(site: VirtualSite) -> None:
    key = await site.finish("redone")
    await site.book.redo(key)
    await let_go_at_the_first_turn(site, key)


async def let_go_at_the_first_turn(site: VirtualSite, key: Key) -> None:
    """Its receipt comes while the runner decides about it."""
    forgetting = asyncio.ensure_future(site.book.forget([key]))
    running = asyncio.ensure_future(site.runner(Prompt(), slots=0).run())
    await forgetting
    await asyncio.sleep(2)
    assert (site.book.held, site.book.orphans) == (0, {})
    assert not running.done()


@in_virtual_time
async def test_an_orphan_whose_receipt_has_come_is_nobodys(site: VirtualSite) -> None:
    key = await site.finish("j")
    await site.book.redo(key)
    await site.book.forget([key])
    running = asyncio.ensure_future(site.runner(Prompt()).run())
    await asyncio.sleep(2)
    assert site.book.orphans == {}
    assert not running.done()


@in_virtual_time
async def test_of_two_results_the_first_stands(site: VirtualSite) -> None:
    key = await site.hold()
    await site.book.apply(key, Event.STARTED)
    first, second = (
        Result(job_id=key[0], attempt=key[1], workspace="w", success=True, document=text)
        for text in (b"1", b"2")
    )
    await asyncio.gather(*(site.book.finish(key, Event.EXITED, one) for one in (first, second)))
    assert site.book.backlog == 1
    assert (await site.kept(key)).document == b"1"


@in_virtual_time
async def test_a_start_that_the_disk_refuses_brings_nothing_back_that_was_let_go(site: VirtualSite) -> None:
    key = await site.hold()
    starting = asyncio.ensure_future(site.book.apply(key, Event.STARTED))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # the first commit has begun, the second waits for it
    forgetting = asyncio.ensure_future(site.book.forget([key]))
    site.disk.is_full = True
    with pytest.raises(WriteFailed):
        await starting
    site.disk.is_full = False
    await forgetting
    assert site.book.get(key) is None


@in_virtual_time
async def test_what_the_disk_refuses_twice_is_as_it_was_before_both(site: VirtualSite) -> None:
    """Its start, and the cancel that came while that was written."""
    key = await site.hold()
    starting = asyncio.ensure_future(site.book.apply(key, Event.STARTED))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cancelling = asyncio.ensure_future(site.book.apply(key, Event.CANCELLED, by="ana"))
    site.disk.is_full = True
    for step in (starting, cancelling):
        with pytest.raises(WriteFailed):
            await step
    (job,) = site.book.unfinished.ready(9)
    assert (job.state, job.canceled_by) == (State.READY, None)


@in_virtual_time
async def test_what_the_disk_does_not_let_go_is_still_held(site: VirtualSite) -> None:
    key = await site.hold()
    site.disk.is_full = True
    with pytest.raises(WriteFailed):
        await site.book.forget([key])
    assert [job.key for job in site.book.unfinished.ready(9)] == [key]


@in_virtual_time
async def test_what_is_over_or_not_here_is_changed_by_nothing(site: VirtualSite) -> None:
    key = await site.hold()
    await site.book.forget([key])
    with pytest.raises(OutOfOrder):
        await site.book.apply(key, Event.STARTED)
    site.book.note_log(key, 5)
    await site.book.redo(key)
    for _ in range(2):
        await site.book.set_aside(key, "odd")
    assert site.book.held == 0
    started = await site.hold("started")
    await site.book.apply(started, Event.STARTED)
    result = Result(job_id=started[0], attempt=started[1], workspace="w", success=False)
    with pytest.raises(OutOfOrder):  # the runner stops it, and its end is another
        await site.book.finish(started, Event.CANCELLED, result)
    assert [job.state for job in site.book.unfinished.started()] == [State.STARTED]


class LinkThatMeets:
    """While the first part of a document is on its way, something befalls the spool."""

    def __init__(self, site: VirtualSite, key: Key, meets: str) -> None:
        self.site = site
        self.key = key
        self.meets = meets
        self.taken: list[str] = []

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        self.taken += [kind] * len(messages)
        if len(self.taken) > 1:
            return
        if self.meets == "receipt":
            await self.site.book.forget([self.key])
        else:
            self.site.disk.blobs.clear()


@pytest.mark.parametrize("meets", ["receipt", "damage"])
def test_a_document_that_goes_while_it_is_sent(meets: str) -> None:
    """After its receipt nothing more of it is sent; what was damaged is run again."""

    @in_virtual_time
    async def story(site: VirtualSite) -> None:
        key = await site.finish("j", LARGE)
        link = LinkThatMeets(site, key, meets)
        sending = asyncio.ensure_future(
            Outbox(site.book, site.spool, site.clock, link, Parts(site.book, site.spool, site.clock)).run()
        )
        await asyncio.sleep(10)
        assert link.taken == ["blob"]
        assert list(site.book.orphans) == ([] if meets == "receipt" else [key])
        assert not sending.done()

    story()


@in_virtual_time
async def test_where_all_results_are_damaged_none_is_sent(site: VirtualSite) -> None:
    key = await site.finish("j")
    site.disk.connection.execute("UPDATE held SET result = x'00'")
    link = LinkThatMeets(site, key, "nothing")
    sending = asyncio.ensure_future(
        Outbox(site.book, site.spool, site.clock, link, Parts(site.book, site.spool, site.clock)).run()
    )
    await asyncio.sleep(10)
    assert link.taken == []
    assert list(site.book.orphans) == [key]
    assert not sending.done()
