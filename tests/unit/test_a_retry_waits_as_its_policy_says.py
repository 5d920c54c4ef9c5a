"""The gaps between retries (openflow.md 2.1, vector 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadRequest
from bridge.jobs.retries import LONGEST_S, Constant, Exponential, Retry, delay_s, parsed

whole = st.integers(0, 65535)


def gaps(policy: Retry, draw: float = 0.0) -> list[float | None]:
    return [delay_s(policy, retries, draw) for retries in range(5)]


def test_constant_attempts_come_first_and_count_in_the_exponent() -> None:
    both = Retry(Constant(2, 1), Exponential(2, multiplier=1, seconds=2))
    assert gaps(both) == [1, 1, 8, 16, None]


def test_jitter_is_added_or_subtracted() -> None:
    policy = Retry(exponential=Exponential(3, multiplier=10, seconds=2, random_factor=50))
    assert gaps(policy, 1)[:3] == [30, 60, 120]
    assert gaps(policy, -1)[:3] == [10, 20, 40]


@given(whole, whole, whole, st.integers(0, 100), whole, st.floats(-1, 1))
def test_no_gap_is_longer_than_six_hours(
    attempts: int, multiplier: int, seconds: int, jitter: int, retries: int, draw: float
) -> None:
    policy = Retry(Constant(attempts, seconds), Exponential(attempts, multiplier, seconds, jitter))
    gap_s = delay_s(policy, retries, draw)
    assert (gap_s is None) == (retries >= 2 * attempts)
    assert gap_s is None or 0 <= gap_s <= LONGEST_S


def test_what_asks_for_no_attempt_is_no_policy() -> None:
    for text in ("", "{}", '{"constant": {"attempts": 0}}', '{"exponential": {"seconds": 3}}'):
        assert parsed(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"constant": {"attempts": 1}, "retry_if": {"expr": "true"}}', "retry_if is not served"),
        ('{"exponential": {"attempts": 1}}', "needs seconds above 0"),
        ('{"constant": {"attempts": -1}}', "retry must be JSON such as"),
        ('{"constant": {"attempts": 70000}}', "retry must be JSON such as"),
        ("3", "retry must be JSON such as"),
        ("{", "retry must be JSON such as"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        parsed(text)
