"""What the bridge says beside jobs: take nothing new for a while, say more often that you are there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

from agent.jobs.inquiry import Inquiry
from agent.jobs.intake import Intake
from agent.jobs.reporter import Reporter
from agent.jobs.wishes import LONGEST_S, PING_EVERY_S, SOONEST_S, Wishes
from agent.policy import Policy
from agent.trust import Keyring
from agent.wire.claims import Tag
from agent.wire.messages import Intake as Wish
from agent.wire.messages import Message, Ping, Settings
from tests.simulation.alone import VirtualSite, in_virtual_time

MINUTE_S = 60.0
MIB = 1024 * 1024


class NotedLink:
    """Notes what goes up and which tags are open."""

    vouches = False

    def __init__(self) -> None:
        self.pings: list[Ping] = []
        self.open: set[Tag] = set()

    async def open_tag(self, tag: Tag, _prefetch: int) -> None:
        self.open.add(tag)

    async def close_tag(self, tag: Tag) -> None:
        self.open.discard(tag)

    async def next_job(self) -> object:
        return await asyncio.get_running_loop().create_future()

    async def publish(self, _kind: str, messages: list[Message]) -> None:
        self.pings += [one for one in messages if isinstance(one, Ping)]


@asynccontextmanager
async def linked(site: VirtualSite, wishes: Wishes) -> AsyncIterator[NotedLink]:
    link = NotedLink()
    limits = MappingProxyType({Tag("t"): 1})
    reporter = Reporter(site.book, site.spool, site.clock, Inquiry(site.book, site.spool, site.clock), wishes)
    intake = Intake(
        site.book, site.spool, link, Keyring({}), limits, lambda _: None, Policy().why_not, wishes.may_take
    )
    tasks = [asyncio.ensure_future(reporter.run(link)), asyncio.ensure_future(intake.run())]
    await asyncio.sleep(1)
    yield link
    for task in tasks:
        task.cancel()


def wishes_of(site: VirtualSite) -> Wishes:
    return Wishes(site.spool, site.clock, site.book.changes)


def said(**wished: object) -> Settings:
    return Settings(wall_s=0.0, **wished)


@in_virtual_time
async def test_it_is_heard_more_often_while_somebody_looks(site: VirtualSite) -> None:
    wishes = wishes_of(site)
    async with linked(site, wishes) as link:
        await asyncio.sleep(MINUTE_S)
        assert len(link.pings) == MINUTE_S / PING_EVERY_S + 1
        assert link.pings[-1].next_s == PING_EVERY_S
        link.pings.clear()
        await wishes.heed(said(ping_every_s=2.0, ping_for_s=MINUTE_S))
        await asyncio.sleep(MINUTE_S)
        assert 29 <= len(link.pings) <= 31
        assert link.pings[0].next_s == 2.0
        link.pings.clear()
        await asyncio.sleep(MINUTE_S)
        assert len(link.pings) <= MINUTE_S / PING_EVERY_S + 1


@in_virtual_time
async def test_no_bridge_makes_it_speak_without_end(site: VirtualSite) -> None:
    wishes = wishes_of(site)
    await wishes.heed(said(ping_every_s=1e-9, ping_for_s=1e12))
    assert wishes.ping_every_s() == SOONEST_S
    await asyncio.sleep(LONGEST_S + 1)
    assert wishes.ping_every_s() == PING_EVERY_S


@in_virtual_time
async def test_it_takes_nothing_new_until_it_is_told_to(site: VirtualSite) -> None:
    """Over a restart too. What says nothing of it changes nothing."""
    wishes = wishes_of(site)
    await wishes.load()
    async with linked(site, wishes) as link:
        assert link.open == {"t"}
        for wish in (Wish.CLOSED, Wish.CLOSED, Wish.AS_IT_IS):
            await wishes.heed(said(intake=wish))
        await asyncio.sleep(1)
        assert link.open == set()
        assert link.pings[-1].drained
    again = wishes_of(site)
    await again.load()
    assert not again.may_take()
    async with linked(site, again) as link:
        assert link.open == set()
        await again.heed(said(intake=Wish.OPEN))
        await asyncio.sleep(1)
        assert link.open == {"t"}
        assert not link.pings[-1].drained


@in_virtual_time
async def test_a_disk_that_refuses_costs_only_what_a_restart_would_know(site: VirtualSite) -> None:
    wishes = wishes_of(site)
    site.disk.is_full = True
    await wishes.heed(said(intake=Wish.CLOSED))
    assert not wishes.may_take()
    site.disk.is_full = False
    again = wishes_of(site)
    await again.load()
    assert again.may_take()


@in_virtual_time
async def test_it_says_how_full_its_spool_is_and_how_old_what_waits(site: VirtualSite) -> None:
    await site.finish("j")
    await asyncio.sleep(MINUTE_S)
    wishes = wishes_of(site)
    link = NotedLink()
    reporter = Reporter(site.book, site.spool, site.clock, Inquiry(site.book, site.spool, site.clock), wishes)
    sending = asyncio.ensure_future(reporter._send_pings(link))
    await asyncio.sleep(1)
    (ping,) = link.pings
    assert ping.backlog == 1
    assert (
        ping.backlog_age_s == ping.wall_s
    )  # the result of this site bears no time: it is as old as the clock
    assert (ping.spool_bytes, ping.spool_most_bytes) == site.spool.room.used_and_most()
    site.allow(ping.spool_bytes + MIB)
    await asyncio.sleep(PING_EVERY_S)
    assert link.pings[-1].spool_most_bytes == ping.spool_bytes + MIB
    sending.cancel()
