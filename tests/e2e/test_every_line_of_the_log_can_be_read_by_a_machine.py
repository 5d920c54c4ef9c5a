"""Under a supervisor both sides log JSON and nothing else, also while the link breaks."""

import json

import pytest

from tests.support.until import until
from tests.support.world import Service, World

pytestmark = pytest.mark.broker


def unreadable(service: Service) -> list[str]:
    return [line for line in service.log.read_text().splitlines() if line and not _is_json(line)]


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


async def test_a_cut_link_leaves_no_traceback(world: World) -> None:
    agent = await world.agent("bash")
    for times in (1, 2):
        world.cut()
        await until(lambda times=times: agent.links("down") >= times, within_s=40)  # type: ignore[misc]  # no inference
        world.restore()
        await agent.linked(times + 1)
    assert unreadable(agent) == []
