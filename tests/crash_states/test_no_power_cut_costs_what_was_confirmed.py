"""I3 in every state of a moment, not in some: after each write, sync, rename and removal of it what was
unsynced is kept, dropped, torn and reordered, and the real store opens what is left.

The suite judges every second moment of a recorded piece of work; `python -m tests.crash_states` judges all.
"""

from collections.abc import Callable

import pytest

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import record
from tests.crash_states.second_cut import enumerate_second_cuts
from tests.crash_states.works import WORKS

MOMENT = 2
STATES_MIN = 1_000  # fewer means that something is not recorded any more
STARTS = 1  # of each kind that are cut off
SECOND = 16
SECOND_STATES_MIN = 25


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("name", sorted(WORKS))
def test_in_no_state_is_anything_lost_or_half_there(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    steps = record(name, 1)
    findings = enumerate_states(name, 1, steps, every=MOMENT)
    record_property("states", findings.states)
    assert findings.violations == []
    assert findings.states > STATES_MIN


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("name", sorted(WORKS))
def test_nor_in_a_state_that_a_second_cut_leaves_of_the_start_after_the_first(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    """A draw of them; `python -m tests.crash_states` judges more."""
    tallies = enumerate_second_cuts(name, 1, record(name, 1), STARTS, every=SECOND)
    states = sum(tally.states for tally in tallies)
    record_property("states", states)
    assert [flaw for tally in tallies for flaw in tally.flaws] == []
    assert states > SECOND_STATES_MIN
