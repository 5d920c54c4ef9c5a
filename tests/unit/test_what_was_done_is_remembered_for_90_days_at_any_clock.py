"""The dedupe memory of a site: a clock at 1970, mended, or years ahead does not empty it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.jobs.book import Book
from agent.spool.lifetime import read as read_lifetime
from agent.spool.spool import SEEN_FOR_S, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job

NOW_S = 1_764_000_000.0
YEARS_S = 30 * 365 * 86_400.0
DAY_S = 86_400.0


class Clock:
    wall = NOW_S
    monotonic = 100.0

    def wall_s(self) -> float:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic

    def boot_id(self) -> str:
        return "boot"


def job(name: str) -> Job:
    return Job(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash", code="x",
        args=b"{}",
    )  # fmt: skip


class Site:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()

    async def opened(self) -> None:
        self.spool = await Spool.open(self.path, self.clock)
        self.book = Book(self.spool, self.clock)
        await self.book.load()

    async def restarted(self) -> None:
        await self.spool.close()
        await self.opened()

    async def pruned(self) -> None:
        """The walk that the agent takes once a day."""
        await self.spool.note_lifetime()
        assert await self.spool.prune_seen((JobId(""), Attempt(0)), 1000) is None

    async def takes(self, name: str) -> bool:
        return await self.book.hold(job(name), pack([job(name)]))

    async def does(self, name: str) -> None:
        assert await self.takes(name)
        await self.book.forget([(JobId(name), Attempt(1))])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path / "spool")
    await made.opened()
    yield made
    await made.spool.close()


@pytest.mark.parametrize("wrong_s", [0.0, -NOW_S, -YEARS_S, YEARS_S])
async def test_a_clock_that_was_wrong_and_is_mended_forgets_nothing(site: Site, wrong_s: float) -> None:
    site.clock.wall += wrong_s
    await site.does("a")
    site.clock.wall -= wrong_s
    await site.restarted()
    assert not await site.takes("a")
    site.clock.wall += wrong_s
    await site.restarted()
    assert not await site.takes("a")


async def test_after_90_days_of_running_it_is_forgotten_without_a_restart(site: Site) -> None:
    site.clock.wall = 0.0
    await site.does("a")
    site.clock.monotonic += SEEN_FOR_S - DAY_S
    await site.pruned()
    assert not await site.takes("a")
    site.clock.monotonic += 2 * DAY_S
    await site.pruned()
    assert await site.takes("a")


async def test_an_agent_that_is_restarted_all_the_time_forgets_too(site: Site) -> None:
    await site.does("a")
    for day in range(91):
        site.clock.monotonic += DAY_S
        await site.does(f"of-day-{day}")
        await site.restarted()
        await site.pruned()
    assert await site.takes("a")
    assert not await site.takes("of-day-90")


async def test_a_machine_that_is_off_for_a_year_forgets_nothing(site: Site) -> None:
    await site.does("a")
    site.clock.wall += 365 * DAY_S
    site.clock.monotonic = 1.0
    await site.restarted()
    assert not await site.takes("a")


def test_a_damaged_count_of_that_time_only_keeps_things_longer() -> None:
    assert [read_lifetime(text) for text in ("12.5", "-3", "x", None)] == [12.5, 0.0, 0.0, 0.0]
