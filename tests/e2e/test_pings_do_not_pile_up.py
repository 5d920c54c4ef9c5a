"""I6: while the bridge is away the pings of agents expire, whatever else waits for it in front of them."""

import pytest

from agent.wire.routing import EVENTS, PINGS, UP
from tests.support.mail import put, waiting_in
from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

PINGS_SENT = 30


async def test_what_a_site_sends_in_minutes_is_gone_within_one(world: World) -> None:
    """The agent's own pings go on; more are put in by hand, behind something that never expires."""
    await world.agent("bash")
    world.bridge.stop()
    await put(world, UP, "event.ag-site-x", b"an acceptance that nobody can read")
    for _ in range(PINGS_SENT):
        await put(world, UP, "ping.ag-site-x", b"a ping")
    assert await waiting_in(world, PINGS) >= PINGS_SENT

    async def few() -> bool:
        return await waiting_in(world, PINGS) <= 4

    await until(few, within_s=90)
    assert await waiting_in(world, EVENTS) >= 1
