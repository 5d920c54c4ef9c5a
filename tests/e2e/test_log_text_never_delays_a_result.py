"""On a slow link a flood of log text waits: results leave before it."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

BYTES_PER_S = 20_000
LOG_BYTES = 3_000_000  # in base64; takes minutes at this pace
SOON_S = 30.0  # a result that stood behind the text would take several times as long


async def test_a_result_passes_the_text_that_was_there_before_it(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=2)
    flood = world.cluster.submit(
        f"head -c {LOG_BYTES} /dev/urandom | base64; touch {tmp_path}/wrote;"
        f" until [ -e {tmp_path}/go ]; do sleep 0.1; done",
        "bash",
    )
    await world.cluster.running(flood)
    world.amqp_link.slow_down(bytes_per_s=BYTES_PER_S)
    await until((tmp_path / "wrote").exists, within_s=30)
    before = world.amqp_link.up_bytes
    await until(
        lambda: world.amqp_link.up_bytes > before + BYTES_PER_S, within_s=30
    )  # the text is on its way
    quick = world.cluster.submit("echo quick", "bash")
    assert (await world.cluster.done(quick, within_s=SOON_S))["result"] == "quick"
    (tmp_path / "go").touch()
    await world.cluster.done(flood, within_s=SOON_S)
    assert agent.links("down") == 0
    world.amqp_link.slow_down()
    await until(lambda: len(world.cluster.logs(flood)) > LOG_BYTES, within_s=60)  # late, and whole
