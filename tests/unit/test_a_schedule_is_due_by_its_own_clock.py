"""Cron with seconds, over the changes of a zone's clocks."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadRequest
from bridge.schedules.cron import parsed

PARIS = "Europe/Paris"  # 2026: +1 h on 29 March at 01:00 UTC, back on 25 October at 01:00 UTC


def ticks(expression: str, zone: str, start: str, count: int) -> list[str]:
    """In UTC."""
    cron, at_s, found = parsed(expression, zone), datetime.fromisoformat(start).timestamp(), []
    for _ in range(count):
        following = cron.next_after(at_s)
        assert following is not None
        at_s = following
        found.append(datetime.fromtimestamp(at_s, UTC).isoformat().removesuffix("+00:00"))
    return found


def test_seconds_come_first() -> None:
    assert ticks("*/20 * * * * *", "UTC", "2026-01-01T00:00:05Z", 3) == [
        "2026-01-01T00:00:20", "2026-01-01T00:00:40", "2026-01-01T00:01:00",
    ]  # fmt: skip
    assert ticks("30 5 0 * * *", "UTC", "2026-01-01T00:05:30Z", 1) == ["2026-01-02T00:05:30"]


def test_sunday_is_0_and_7() -> None:
    for day in ("0", "7", "SUN"):
        assert ticks(f"0 0 0 * * {day}", "UTC", "2026-01-01T00:00:00Z", 1) == ["2026-01-04T00:00:00"]


def test_noon_stays_noon() -> None:
    assert ticks("0 0 12 * * *", PARIS, "2026-03-28T00:00:00Z", 2) == [
        "2026-03-28T11:00:00",
        "2026-03-29T10:00:00",
    ]


def test_a_time_that_is_skipped_comes_right_after() -> None:
    assert ticks("15 30 2 * * *", PARIS, "2026-03-28T12:00:00Z", 2) == [
        "2026-03-29T01:00:15",
        "2026-03-30T00:30:15",
    ]


def test_a_time_that_is_repeated_comes_once() -> None:
    expected = ["2026-10-25T00:30:00", "2026-10-26T01:30:00"]
    assert ticks("0 30 2 * * *", PARIS, "2026-10-24T12:00:00Z", 2) == expected
    for within_the_second_pass in ("2026-10-25T01:00:00Z", "2026-10-25T01:29:00Z", "2026-10-25T01:40:00Z"):
        assert ticks("0 30 2 * * *", PARIS, within_the_second_pass, 1) == expected[1:]


def test_what_comes_every_few_minutes_keeps_its_distance() -> None:
    for start in ("2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"):
        found = [datetime.fromisoformat(one) for one in ticks("0 */20 * * * *", PARIS, start, 12)]
        assert {(later - earlier).total_seconds() for earlier, later in pairwise(found)} == {1200}


@given(
    st.sampled_from(["0 30 2 * * *", "*/7 * * * * *", "59 59 23 L * *", "0 15 */3 * * MON-FRI"]),
    st.sampled_from([PARIS, "UTC", "Australia/Lord_Howe", "America/New_York"]),
    st.floats(1.7e9, 1.9e9),
)
def test_a_tick_is_always_later_and_fits(expression: str, zone: str, after_s: float) -> None:
    following = parsed(expression, zone).next_after(after_s)
    assert following is not None
    assert following > after_s
    second = expression.split(maxsplit=1)[0]
    at = datetime.fromtimestamp(following, ZoneInfo(zone))
    assert at.second % 7 == 0 if second == "*/7" else at.second == int(second)


def test_what_never_comes_is_told() -> None:
    assert parsed("0 0 0 * * *", "UTC").next_after(253402300700.0) is None


@pytest.mark.parametrize(
    ("expression", "zone", "told"),
    [
        ("* * * * *", "UTC", "needs 6 fields"),
        ("0 0 0 * * * 2030", "UTC", "needs 6 fields"),
        ("61 0 0 * * *", "UTC", "Bad second"),
        ("0 0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("0 0 0 * * *", "Mars/Olympus", "IANA name"),
        ("0 0 0 * * *", "", "IANA name"),
        ("0 0 0 * * *", "../../etc/passwd", "IANA name"),
        ("0 0 0 * * *", "Europe", "IANA name"),
    ],
)
def test_what_cannot_be_meant_is_refused(expression: str, zone: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        parsed(expression, zone)
