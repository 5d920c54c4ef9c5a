"""A long link carries several parts of a document at once, a thin one hardly ever more than one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.jobs.book import Book
from agent.jobs.pace import PARTS_MAX, Window
from agent.jobs.parts import Parts
from agent.spool.spool import Spool
from agent.wire.envelope import BLOB_PART_BYTES
from agent.wire.messages import Blob, Message
from tests.support.until import until
from tests.unit.test_a_cut_link_costs_one_part_of_a_large_result import finish

PARTS = 60
ROUND_TRIP_S = 0.01


@pytest.mark.parametrize(
    ("round_trip_s", "bytes_per_s", "widest", "mostly"),
    [
        (0.2, 100_000_000, 4, 4),  # long and wide
        (0.2, 1_000_000, 4, 2),  # of four, each would wait for the others
        (0.02, 400_000, 2, 1),  # thin
        (0.5, 20_000, 2, 1),  # very thin
    ],
)
def test_by_what_the_confirms_say(round_trip_s: float, bytes_per_s: float, widest: int, mostly: int) -> None:
    window, sizes = Window(), []
    for _ in range(200):
        takes_s = round_trip_s + window.size * BLOB_PART_BYTES / bytes_per_s
        window = window.after(takes_s, window.size)
        sizes.append(window.size)
    assert max(sizes) == widest
    assert sizes.count(mostly) > len(sizes) * 0.85


def test_a_part_that_left_among_fewer_or_more_says_nothing() -> None:
    assert Window(2, 0.1).after(9.0, 4) == Window(2, 0.1)


class LongLink:
    """Confirms what is on its way after a while, each second part before the first; then it is cut."""

    def __init__(self, lives_for: int) -> None:
        self.taken: list[int] = []
        self.widest = 0
        self._left = lives_for
        self._under_way: list[asyncio.Future[None]] = []

    async def publish(self, _kind: str, messages: Sequence[Message]) -> None:
        (part,) = messages
        assert isinstance(part, Blob)
        self.taken.append(part.index)
        loop = asyncio.get_running_loop()
        self._under_way.append(loop.create_future())
        self.widest = max(self.widest, len(self._under_way))
        loop.call_later(ROUND_TRIP_S, self._confirm)
        await self._under_way[-1]

    def _confirm(self) -> None:
        self._left -= 1
        one = self._under_way.pop(min(self._left % 2, len(self._under_way) - 1))
        if not one.done():
            one.set_exception(LinkDown("cut")) if self._left < 0 else one.set_result(None)


class StandingClock(SystemClock):
    """No part ever takes longer than one alone."""

    def monotonic_s(self) -> float:
        return 0.0


async def test_a_cut_costs_what_was_on_its_way(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await finish(book, "large", b"x" * (PARTS * BLOB_PART_BYTES))
    parts = Parts(book, spool, StandingClock())
    lives: list[LongLink] = []
    while (kept := await spool.next_blob()) is not None:
        assert kept.result is not None
        link = LongLink(lives_for=35)
        lives.append(link)
        try:
            await parts.send(link, kept.result, kept.parts_left)
        except* LinkDown:
            pass
        assert link.taken == list(
            range(PARTS - kept.parts_left, link.taken[-1] + 1)
        )  # on from what was counted
    await spool.close()
    assert [link.widest for link in lives] == [PARTS_MAX, PARTS_MAX]
    # What was on its way, and what was confirmed behind a part that was not.
    assert PARTS <= sum(len(link.taken) for link in lives) <= PARTS + 2 * PARTS_MAX


async def test_a_receipt_ends_it(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    book = Book(spool, SystemClock())
    await finish(book, "large", b"x" * (PARTS * BLOB_PART_BYTES))
    kept = await spool.next_blob()
    assert kept is not None
    assert kept.result is not None
    link = LongLink(lives_for=PARTS)
    sending = asyncio.ensure_future(
        Parts(book, spool, StandingClock()).send(link, kept.result, kept.parts_left)
    )
    await until(lambda: len(link.taken) >= 3)
    await book.forget([kept.key])
    await sending
    await spool.close()
    assert len(link.taken) < PARTS
