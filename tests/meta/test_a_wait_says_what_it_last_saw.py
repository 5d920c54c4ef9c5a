"""A failed wait is a finding, so it tells what was there instead."""

from itertools import count

import pytest

from tests.support.until import until


async def test_it_gives_back_the_first_truth() -> None:
    numbers = count()
    assert await until(lambda: next(numbers) > 2 and "seen") == "seen"


async def test_it_waits_for_coroutines_too() -> None:
    async def condition() -> str:
        return "seen"

    assert await until(condition) == "seen"


async def test_it_fails_with_the_condition_and_the_last_sight() -> None:
    queue: list[str] = []
    with pytest.raises(AssertionError, match=r"until\(lambda: queue, within_s=0\).*last seen: \[\]"):
        await until(lambda: queue, within_s=0)


async def test_an_assertion_inside_means_not_yet() -> None:
    def condition() -> bool:
        raise AssertionError("no row yet")

    with pytest.raises(AssertionError, match=r"last seen: AssertionError.'no row yet'"):
        await until(condition, within_s=0)
