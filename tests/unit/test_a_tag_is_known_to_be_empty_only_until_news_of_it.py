"""A look that found no job is remembered, but never in the face of news that came while it was under way."""

import asyncio
from contextlib import suppress

import pytest

from bridge.jobs.arrivals import Arrivals


def test_it_is_empty_after_a_look_in_vain_and_not_after_news() -> None:
    arrivals = Arrivals()
    with arrivals.look(["a", "b"]) as look:
        assert not arrivals.are_empty(["a"])
        look.found_none = True
    assert arrivals.are_empty(["a", "b"])
    arrivals.note(["b"])
    assert arrivals.are_empty(["a"])
    assert not arrivals.are_empty(["a", "b"])
    arrivals.note()
    assert not arrivals.are_empty(["a"])


@pytest.mark.parametrize("news", [["b"], None])
def test_news_during_a_look_leaves_nothing_known(news: list[str] | None) -> None:
    arrivals = Arrivals()
    with arrivals.look(["a", "b"]) as look, arrivals.look(["c"]) as of_another:
        look.found_none = of_another.found_none = True
        arrivals.note(news)
    assert not arrivals.are_empty(["a"])
    assert arrivals.are_empty(["c"]) is (news is not None)


def test_who_fails_while_looking_passes_the_news_on() -> None:
    """What its transaction had in hand looked taken to whoever looked meanwhile."""
    arrivals = Arrivals()
    with arrivals.awaited(["a"]) as told:
        with suppress(asyncio.CancelledError), arrivals.look(["a"]):
            with arrivals.look(["a"]) as beside:
                beside.found_none = True
            raise asyncio.CancelledError
        assert told.is_set()
    assert not arrivals.are_empty(["a"])
