"""I3 in every state, not in some: after each write, sync, rename and removal of a recorded piece of work
what was unsynced is kept, dropped, torn and reordered, and the real store opens what is left.
"""

from collections.abc import Callable

import pytest

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import record
from tests.crash_states.works import WORKS

STATES_MIN = 2_000  # fewer means that something is not recorded any more


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("name", sorted(WORKS))
def test_in_no_state_is_anything_lost_or_half_there(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    steps = record(name, 1)
    findings = enumerate_states(name, 1, steps)
    record_property("states", findings.states)
    assert findings.violations == []
    assert findings.states > STATES_MIN
