"""`kill -9` at each named step of custody, on both sides: I1, I2 and I3 hold at all of them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from tests.support.deaths import Death, Deaths, every_job_has_its_result
from tests.support.killed_at import AGENT, BRIDGE
from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaths(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> AsyncIterator[Deaths]:
    folder = tmp_path_factory.mktemp("deaths")
    with fresh_vhost(broker) as amqp_url, World(folder, amqp_url) as world:
        opened = Deaths(world)
        await opened.open()
        yield opened


async def every_job_ended_once(death: Death) -> None:
    await every_job_has_its_result(death, errors_of_once=["Interrupted"])
    await until(lambda: all(row["state"] == "closed" for row in death.custody()))
    assert {row["job_id"] for row in death.custody()} == set(death.jobs.values())


@pytest.mark.parametrize("step", AGENT)
async def test_of_the_agent(deaths: Deaths, step: str) -> None:
    await every_job_ended_once(await deaths.of_the_agent(step))


@pytest.mark.parametrize("step", BRIDGE)
async def test_of_the_bridge(deaths: Deaths, step: str) -> None:
    await every_job_ended_once(await deaths.of_the_bridge(step))
