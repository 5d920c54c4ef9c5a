"""What the bridge says of an agent's turn is what the agent reads, and never less than was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.admission import ADMITTED_IN_S, LONGEST_S, headers_of, wait_of


@given(st.floats(min_value=1e-9, max_value=LONGEST_S - 1))
def test_who_waits_as_told_does_not_come_early(wait_s: float) -> None:
    heard_s = wait_of(headers_of(wait_s))
    assert heard_s is not None
    assert wait_s - 1.01e-6 <= heard_s <= wait_s + 0.00101


def test_anybody_else_reads_whole_seconds() -> None:
    assert headers_of(12.3401) == {"Retry-After": "13", ADMITTED_IN_S: "12.341"}


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1e9", "3601"])
def test_what_is_no_sensible_wait_is_no_turn(text: str) -> None:
    assert wait_of({ADMITTED_IN_S: text}) is None


def test_a_429_of_somebody_else_names_no_turn() -> None:
    assert wait_of({"Retry-After": "30"}) is None
