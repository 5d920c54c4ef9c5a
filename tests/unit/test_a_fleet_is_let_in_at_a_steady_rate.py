"""The decider of admissions: nobody is let in over the rate, each has a moment of its own, and it is kept."""

from collections.abc import Iterator
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.claims import WorkerName
from bridge.agents.admission import KEPT_S, LONGEST_S, Admission

fleets = st.integers(min_value=1, max_value=120)
rates = st.integers(min_value=1, max_value=60)
starts = st.floats(min_value=0, max_value=1e6)
comings = st.lists(
    st.tuples(st.integers(min_value=0, max_value=30), st.floats(min_value=0, max_value=20)), max_size=150
)


def names(fleet: int) -> list[WorkerName]:
    return [WorkerName(f"ag-shop-{number}") for number in range(fleet)]


def let_in(per_s: int, script: list[tuple[int, float]]) -> Iterator[float]:
    """The moments at which somebody came in, when agents come as the script says: (who, seconds later)."""
    admission, now_s = Admission(per_s, 0.0), 0.0
    for who, later_s in script:
        now_s += later_s
        if admission.turn(WorkerName(f"ag-{who}"), now_s).wait_s == 0:
            yield now_s


@given(fleets, rates, starts)
def test_each_agent_of_a_fleet_waits_once_and_then_comes_in(fleet: int, per_s: int, now_s: float) -> None:
    admission = Admission(per_s, now_s)
    waits_s = {worker: admission.turn(worker, now_s).wait_s for worker in names(fleet)}
    assert sorted(waits_s.values()) == list(waits_s.values())  # first come, first served
    assert waits_s[names(fleet)[-1]] == pytest.approx((fleet - 1) / per_s, abs=1e-4)
    for worker, wait_s in waits_s.items():
        if wait_s:
            assert admission.turn(worker, now_s + wait_s).wait_s == 0
    assert admission.waiting == 0


@given(rates, comings)
def test_no_order_of_comings_brings_more_than_the_rate(per_s: int, script: list[tuple[int, float]]) -> None:
    moments = list(let_in(per_s, script))
    for (first, began_s), (last, ended_s) in combinations(enumerate(moments), 2):
        assert last - first + 1 <= per_s * (ended_s - began_s + KEPT_S) + 1 + 1e-3


@given(rates, st.lists(st.floats(min_value=0, max_value=0.9), max_size=20))
def test_coming_early_changes_nothing(per_s: int, fractions: list[float]) -> None:
    admission = Admission(per_s, 0.0)
    for worker in names(9):
        moment_s = admission.turn(worker, 0.0).wait_s
    for part in sorted(fractions):
        now_s = moment_s * part
        assert admission.turn(worker, now_s).wait_s == pytest.approx(moment_s - now_s, abs=1e-6)
    newcomer = admission.turn(WorkerName("ag-new"), 0.0)
    assert newcomer.wait_s == pytest.approx(moment_s + 1 / per_s)


def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    admission = Admission(1, 0.0)
    first, second, third = names(3)
    assert [admission.turn(worker, 0.0).wait_s for worker in (first, second)] == [0.0, 1.0]
    assert admission.turn(third, 0.999).wait_s == pytest.approx(1.001)
    assert admission.turn(second, 1.0).wait_s == 0


def test_a_place_that_is_missed_is_gone_after_a_while() -> None:
    admission = Admission(10, 0.0)
    on_time, late, missing = names(3)
    for worker in (WorkerName("ag-first"), on_time, late, missing):
        admission.turn(worker, 0.0)
    assert admission.turn(on_time, 0.1).wait_s == 0
    assert admission.turn(late, 0.2 + KEPT_S - 0.01).wait_s == 0
    assert admission.waiting == 1
    for number in range(10):  # the quiet time has earned a burst, which these use up
        assert admission.turn(WorkerName(f"ag-other-{number}"), 20.0).wait_s == 0
    assert admission.waiting == 0
    assert admission.turn(missing, 20.0).wait_s == pytest.approx(0.1)


def test_a_bridge_that_has_just_started_lets_one_in_and_no_burst() -> None:
    admission = Admission(50, 1000.0)
    assert [admission.turn(worker, 1000.0).wait_s > 0 for worker in names(3)] == [False, True, True]


def test_the_place_is_the_number_of_those_who_come_first() -> None:
    admission = Admission(50, 0.0)
    assert [admission.turn(worker, 0.0).place for worker in names(600)] == list(range(600))


def test_the_queue_has_an_end_and_who_comes_after_it_is_not_remembered() -> None:
    admission = Admission(1, 0.0)  # I6
    fleet = [WorkerName(f"ag-{number}") for number in range(2000)]
    waits_s = [admission.turn(worker, 0.0).wait_s for worker in fleet]
    assert max(waits_s) == LONGEST_S
    assert admission.waiting == LONGEST_S
    assert admission.turn(fleet[-1], LONGEST_S).wait_s == 1.0
