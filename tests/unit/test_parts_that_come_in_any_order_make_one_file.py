"""Parts of an artefact come late, twice, or not at all; what is asked for fits the line and is bounded."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bundles.arriving import Arriving
from agent.bundles.pace import IN_FLIGHT, SMALLEST, PartPace
from agent.wire.bundles import PART_MAX_BYTES, Artefact, Kind

SIZE = 300_000
CONTENT = bytes(number % 251 for number in range(SIZE))
ONE = Artefact("one.whl", "ab" * 32, SIZE, Kind.WHEEL)


def written(one: Arriving, disk: bytearray) -> None:
    while (part := one.next_part()) is not None:
        disk += part
        one.written(len(disk))


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_whatever_comes_in_whatever_order_the_file_is_right(seed: int) -> None:
    draw = Random(seed)  # noqa: S311 a history from a seed, no secret
    one, disk, now_s = Arriving(ONE, 0), bytearray(), 0.0
    on_their_way: list[tuple[int, int]] = []
    for _ in range(10_000):
        if one.is_whole:
            break
        on_their_way += one.to_ask(now_s)
        assert len(one.asked) <= IN_FLIGHT
        assert len(one.came) <= IN_FLIGHT + 1  # I6
        now_s += draw.choice([0.01, 0.5, 2.0])
        what = draw.choice(["comes", "comes", "comes", "is lost", "comes twice", "cut"])
        if what == "cut" or not on_their_way:
            one.ask_again()
            continue
        start, size = on_their_way.pop(draw.randrange(len(on_their_way)))
        if what != "is lost":
            one.take(start, CONTENT[start : start + size], now_s)
        if what == "comes twice":
            one.take(start, CONTENT[start : start + size], now_s)
        if what == "is lost":
            one.ask_again()
        written(one, disk)
    assert bytes(disk) == CONTENT


def test_what_was_not_asked_for_changes_nothing() -> None:
    one = Arriving(ONE, 1000)
    one.take(0, CONTENT[:1000], 0.0)
    one.take(200_000 + IN_FLIGHT * PART_MAX_BYTES, b"x", 0.0)
    one.take(SIZE - 1, b"xx", 0.0)
    assert one.came == {}


def test_what_overlaps_what_is_here_is_used_from_there_on() -> None:
    one, disk = Arriving(ONE, 0), bytearray()
    one.take(0, CONTENT[:5000], 0.0)
    written(one, disk)
    one.take(3000, CONTENT[3000:9000], 0.0)
    written(one, disk)
    assert bytes(disk) == CONTENT[:9000]


def test_an_empty_part_says_that_nobody_has_it() -> None:
    one = Arriving(ONE, 0)
    one.take(0, b"", 0.0)
    assert one.is_gone


def test_a_fast_line_is_asked_for_more_at_a_time_and_a_slow_one_for_less() -> None:
    pace = PartPace()
    for _ in range(20):
        pace = pace.after(0.01)
    assert pace.size == PART_MAX_BYTES
    assert pace.after(0.5) == pace
    for _ in range(20):
        pace = pace.after(5.0)
    assert pace.size == SMALLEST
