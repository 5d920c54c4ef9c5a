"""Whatever the AMQP client ends its waiters with when a connection dies is the owner's own error.

Chaos found an agent that had ended by itself: one of its acknowledgements was ended with a bare `Exception`.
"""

import asyncio

import pytest
from aiormq.base import FutureStore

from agent.broker_session import session_errors
from agent.errors import LinkDown


@pytest.mark.parametrize("reason", [None, ConnectionResetError("reset"), asyncio.CancelledError()])
async def test_a_waiter_ended_for_any_reason_or_none_says_that_the_link_is_down(
    reason: BaseException | None,
) -> None:
    store = FutureStore(asyncio.get_running_loop())
    waiter = store.create_future()
    await store.reject_all(reason)
    with pytest.raises(LinkDown), session_errors(LinkDown):
        await waiter


async def test_a_bug_of_ours_stays_what_it_is() -> None:
    with pytest.raises(KeyError), session_errors(LinkDown):
        raise KeyError
