"""When the bridge's own link to the broker dies without a word, no agent is silent: nobody loses a job."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev_tools.proxy import Cut, LinkProxy
from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

LOST_AFTER_S = 15
HEARTBEATS_S = 120.0  # of the bridge's session: so long may it take until it knows


@pytest.fixture
def link(world: World) -> Iterator[LinkProxy]:
    """Between the bridge and the broker."""
    broker = urlsplit(world.amqp_url)
    with LinkProxy(broker.hostname or "", broker.port or 5672) as proxy:
        login = f"{broker.username}:{broker.password}"
        url = broker._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()
        world.bridge.stop()
        world.bridge.settings |= {"AMQP_URL": url, "LOST_AFTER_S": str(LOST_AFTER_S)}
        yield proxy
        proxy.restore()


async def test_it_takes_no_job_from_an_agent_it_only_cannot_hear(
    world: World, link: LinkProxy, tmp_path: Path
) -> None:
    await world.bridge.start()
    await world.agent("bash")
    job = world.cluster.submit(f"until [ -e {tmp_path}/go ]; do sleep 0.1; done; echo done", "bash")
    await world.cluster.running(job)
    await until(lambda: world.cluster.attempts(job)[0]["state"] == "accepted")
    link.cut(Cut.STALL)
    await until(lambda: world.bridge.events("broker.down"), within_s=HEARTBEATS_S)
    link.restore()
    (tmp_path / "go").touch()
    assert (await world.cluster.done(job, within_s=HEARTBEATS_S))["result"] == "done"
    assert [row["outcome"] for row in world.cluster.attempts(job)] == ["success"]
    assert not world.bridge.events("custodian.lost")
    assert world.bridge.events("broker.silent")
