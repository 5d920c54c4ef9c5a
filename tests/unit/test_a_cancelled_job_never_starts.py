from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.jobs.model import Event, OutOfOrder, State, step


@given(st.sampled_from([State.WAITING, State.READY]), st.lists(st.sampled_from(Event)))
def test_no_order_of_events_starts_it(state: State, events: list[Event]) -> None:
    state = step(state, Event.CANCELLED)
    for event in events:
        with suppress(OutOfOrder):
            state = step(state, event)
        assert state is not State.STARTED  # I7


def test_an_event_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(OutOfOrder, match="exited cannot happen to a job that is ready"):
        step(State.READY, Event.EXITED)
