"""I6: what is promised is kept, the quota is never passed, and nobody waits for room that cannot come."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.spool.budget import LEAST_BYTES, MIB, RESULT_BYTES, Bounds, Budget, Measured

GB = 1024 * MIB
ROOMY = Measured(used=0, free=100 * GB)


def yes() -> bool:
    return True


def no() -> bool:
    return False


def test_with_plenty_a_job_gets_room_for_the_largest_result() -> None:
    budget = Budget(Bounds())
    assert budget.reserve("a", ROOMY, backlog=yes)
    assert budget.reserved == RESULT_BYTES


def test_at_the_quota_a_job_waits_and_starts_when_results_have_left() -> None:
    budget = Budget(Bounds(quota_bytes=16 * MIB))
    assert not budget.reserve("a", Measured(used=15 * MIB, free=GB), backlog=yes)
    assert budget.reserve("a", Measured(used=8 * MIB, free=GB), backlog=yes)


def test_below_the_floor_a_job_waits() -> None:
    budget = Budget(Bounds(floor_bytes=50 * MIB))
    assert not budget.reserve("a", Measured(used=0, free=51 * MIB), backlog=yes)
    assert budget.reserve("a", Measured(used=0, free=55 * MIB), backlog=yes)


def test_intake_closes_at_the_mark_and_opens_at_twice_the_mark() -> None:
    budget = Budget(Bounds(floor_bytes=0))
    free = [10, 3, 5, 7, 9, 5, 3]
    takes = [budget.may_take(Measured(used=0, free=mb * MIB)) for mb in free]
    assert takes == [True, False, False, False, True, True, False]


def test_a_job_that_waits_alone_and_for_nothing_is_let_past() -> None:
    """Only jobs that have not run fill the quota: without one start nothing would ever leave."""
    budget = Budget(Bounds(quota_bytes=8 * MIB))
    full = Measured(used=9 * MIB, free=GB)
    assert not budget.reserve("a", full, backlog=yes)
    assert budget.reserve("a", full, backlog=no)
    assert not budget.reserve("b", full, backlog=no)  # one at a time
    budget.release("a")
    assert budget.reserve("b", full, backlog=no)
    assert not Budget(Bounds()).reserve("c", Measured(used=0, free=LEAST_BYTES - 1), backlog=no)


def test_two_results_too_large_for_what_is_left_do_not_wait_for_each_other() -> None:
    budget = Budget(Bounds(quota_bytes=8 * MIB))
    seen = Measured(used=4 * MIB, free=GB)
    assert budget.reserve("a", seen, backlog=no)
    assert budget.reserve("b", seen, backlog=no)
    assert not budget.may_keep("a", 4 * MIB, seen, backlog=no)
    assert budget.may_keep("b", 4 * MIB, seen, backlog=no)
    assert not budget.may_keep("a", 4 * MIB, Measured(used=8 * MIB, free=GB), backlog=yes)


def test_log_text_never_takes_what_a_result_was_promised() -> None:
    budget = Budget(Bounds(quota_bytes=16 * MIB))
    seen = Measured(used=10 * MIB, free=GB)
    assert budget.may_log(MIB, 0, seen)
    assert budget.reserve("a", seen, backlog=yes)
    assert budget.reserve("b", seen, backlog=yes)
    left = budget.room(seen)
    assert not budget.may_log(left + 1, 0, seen)
    assert not budget.may_log(1, 4 * MIB, ROOMY)  # a quarter of the quota is the log's own bound


@pytest.mark.parametrize(
    ("quota_mb", "disk_mb", "most_mb"), [(None, 1024, 64), (None, 116, 50), (32, 1024, 16), (32, 36, 10)]
)
def test_no_result_is_larger_than_half_of_what_the_spool_may_ever_use(
    quota_mb: int | None, disk_mb: int, most_mb: int
) -> None:
    quota = None if quota_mb is None else quota_mb * MIB
    bounds = Bounds(quota_bytes=quota, floor_bytes=16 * MIB)
    assert bounds.result_most_bytes(disk_mb * MIB) == most_mb * MIB


@pytest.mark.parametrize("quota_mb", [8, 64, 1024])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no bad test
@given(steps=st.lists(st.tuples(st.sampled_from("rfcl"), st.integers(0, 5), st.integers(0, 80 * MIB))))
def test_whatever_comes_the_quota_holds_and_promises_are_kept(
    quota_mb: int, steps: list[tuple[str, int, int]]
) -> None:
    """r: a job starts; f: one ends with a result; c: a result is confirmed; l: log text comes."""
    quota = quota_mb * MIB
    budget, used, log = Budget(Bounds(quota_bytes=quota)), 0, 0
    promised: dict[int, int] = {}
    kept: list[int] = []
    for step, owner, size in steps:
        seen = Measured(used=used, free=100 * GB)
        if step == "r" and owner not in promised:
            before = budget.reserved
            if budget.reserve(owner, seen, backlog=yes):
                promised[owner] = budget.reserved - before
        elif step == "f" and owner in promised:
            fits = budget.may_keep(owner, size, seen, backlog=yes)
            assert fits or size > promised[owner]
            if fits:
                kept.append(size)
                used += size
                budget.release(owner)
                del promised[owner]
        elif step == "c" and kept:
            used -= kept.pop()
        elif step == "l" and budget.may_log(size, log, seen):
            log, used = log + size, used + size
        assert used + budget.reserved <= quota
