"""What thousands ask of the store is read once for all of them, and a change made here counts at once."""

import asyncio

import pytest

from bridge.store.reading import SharedReading
from tests.support.cluster import MovedClock

FRESH_S = 2.0


class Shelf:
    """Something to read, which may be slow or fail."""

    def __init__(self) -> None:
        self.value = "old"
        self.readings = 0
        self.fails = False
        self.opened = asyncio.Event()
        self.opened.set()

    async def read(self) -> str:
        self.readings += 1
        value = self.value
        await self.opened.wait()
        if self.fails:
            raise OSError("the store is away")
        return value


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def reading(clock: MovedClock, shelf: Shelf) -> SharedReading[str]:
    return SharedReading(clock, FRESH_S, shelf.read)


async def test_of_many_that_ask_at_once_one_reads(reading: SharedReading[str], shelf: Shelf) -> None:
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(reading.value()) for _ in range(100)]
    assert {task.result() for task in asking} == {"old"}
    assert shelf.readings == 1


async def test_it_is_read_anew_when_it_is_no_longer_fresh(
    reading: SharedReading[str], shelf: Shelf, clock: MovedClock
) -> None:
    await reading.value()
    shelf.value = "new"  # by another process
    assert await reading.value() == "old"
    clock.ahead_s = FRESH_S
    assert await reading.value() == "new"


async def test_a_change_counts_for_whoever_asks_after_it(reading: SharedReading[str], shelf: Shelf) -> None:
    await reading.value()
    shelf.value = "new"
    reading.changed()
    assert await reading.value() == "new"


async def test_what_changed_while_it_was_read_is_read_again(
    reading: SharedReading[str], shelf: Shelf
) -> None:
    shelf.opened.clear()
    async with asyncio.TaskGroup() as group:
        before = group.create_task(reading.value())
        await asyncio.sleep(0)  # it reads now
        assert shelf.readings == 1
        shelf.value = "new"
        reading.changed()
        after = group.create_task(reading.value())
        shelf.opened.set()
    assert (before.result(), after.result()) == ("old", "new")


async def test_a_failed_reading_is_none(reading: SharedReading[str], shelf: Shelf) -> None:
    await reading.value()
    reading.changed()
    shelf.fails, shelf.value = True, "new"
    with pytest.raises(OSError, match="away"):
        await reading.value()
    shelf.fails = False
    assert await reading.value() == "new"
