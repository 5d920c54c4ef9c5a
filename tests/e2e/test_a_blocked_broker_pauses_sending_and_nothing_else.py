"""A memory alarm of the broker: sending waits, taking and executing go on, and the link is not torn down."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from agent.broker_session import CONFIRM_S
from dev_tools.brokers.broker import Broker, OutOfReach
from tests.support.places import Places, Work, opened_places
from tests.support.until import until
from tests.support.world import Agent

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

TAG: Final = "blocked"
SOON_S: Final = 30.0
LONG_S: Final = CONFIRM_S + 3  # longer than any publish may take without an alarm
USUAL: Final = "0.4"


@pytest.fixture
async def places(tmp_path: Path, broker: Broker) -> AsyncIterator[Places]:
    async with opened_places(tmp_path, broker) as opened:
        yield opened


@contextmanager
def memory_alarm(broker: Broker) -> Iterator[None]:
    """The broker takes nothing from whoever publishes, for as long as the block lasts."""
    try:
        broker.ctl("set_vm_memory_high_watermark", "0.00001")
    except OutOfReach as error:
        pytest.skip(str(error))
    try:
        yield
    finally:
        broker.ctl("set_vm_memory_high_watermark", USUAL)


async def blocked(agent: Agent, times: int) -> None:
    await until(lambda: len(agent.events("link.blocked")) == times, within_s=SOON_S)


async def test_an_alarm_pauses_sending_and_loses_nothing(
    places: Places, broker: Broker, tmp_path: Path
) -> None:
    agent, work = places.place(TAG, ahead=1).agent, Work(places, tmp_path, TAG)
    await agent.start()
    await work.hold()
    work.submit("queued", gated=True)  # beyond what the site may hold: it waits at the broker
    await until(lambda: all(places.cluster.attempts(job) for job in work.jobs), within_s=SOON_S)
    with memory_alarm(broker):
        await blocked(agent, 1)
        reason = "blocked by the broker: low on memory"
        await until(lambda: reason in agent.status()["link_reason"], within_s=SOON_S)
        work.open_gate()
        await until(
            lambda: agent.status()["backlog"] == 3, within_s=SOON_S
        )  # what still runs would run again
        assert work.ran() == ["running", "waiting", "queued"]
        agent.kill()
        agent.launch()  # a start during the alarm enrols, connects and consumes as ever
        await blocked(agent, 2)
        work.submit("new")
        await until(lambda: "blocked" in reasons_of_bridge(places), within_s=SOON_S)
        await until(lambda: (agent.status().get("link_since_s") or 0) > LONG_S, within_s=2 * LONG_S)
        assert agent.status()["backlog"] == 3
        assert places.cluster.completed() == []
    await work.recorded_once(["running", "waiting", "queued", "new"], within_s=SOON_S)
    assert agent.links("down") == 0
    assert len(agent.events("link.unblocked")) == 1
    assert places.world.bridge.events("broker.down") == []


def reasons_of_bridge(places: Places) -> str:
    return " ".join(str(one) for one in places.world.bridge.events("broker.blocked"))
