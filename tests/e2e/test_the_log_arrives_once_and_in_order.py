"""I5: log text arrives once and in order, also over a cut link."""

import re

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

CHATTER = "for i in $(seq 300); do echo line $i; if [ $((i % 50)) = 0 ]; then sleep {pause}; fi; done"


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"^line (\d+)$", text, re.MULTILINE)]


async def test_every_line_once(calm: World) -> None:
    job = calm.cluster.submit(CHATTER.format(pause="0.1"), "bash")
    await calm.cluster.done(job)
    await until(lambda: len(numbers(calm.cluster.logs(job))) >= 300)
    assert numbers(calm.cluster.logs(job)) == list(range(1, 301))


async def test_every_line_once_when_the_link_breaks_in_the_middle(world: World) -> None:
    agent = await world.agent("bash")
    job = world.cluster.submit(CHATTER.format(pause="0.5"), "bash")
    await until(lambda: numbers(world.cluster.logs(job)))
    world.cut()
    await until(lambda: agent.links("down"))
    world.restore()
    await world.cluster.done(job, within_s=RECONNECT_S)
    await until(lambda: len(numbers(world.cluster.logs(job))) >= 300)
    assert numbers(world.cluster.logs(job)) == list(range(1, 301))


async def test_every_line_once_when_the_bridge_is_killed_in_the_middle(world: World) -> None:
    await world.agent("bash")
    job = world.cluster.submit(CHATTER.format(pause="0.5"), "bash")
    for so_far in (50, 150):
        await until(lambda so_far=so_far: len(numbers(world.cluster.logs(job))) >= so_far)  # type: ignore[misc]  # no inference
        world.bridge.kill()
        await world.bridge.start()
    await world.cluster.done(job, within_s=RECONNECT_S)
    await until(lambda: len(numbers(world.cluster.logs(job))) >= 300)
    assert numbers(world.cluster.logs(job)) == list(range(1, 301))
