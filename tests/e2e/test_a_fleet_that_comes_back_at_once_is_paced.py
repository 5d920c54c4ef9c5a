"""A hiccup of the broker throws all agents off at once: they come back in turn, and work on meanwhile."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dev_tools.fleet import Member, running_fleet
from tests.support.until import until
from tests.support.world import Agent, World, paused

pytestmark = pytest.mark.broker

FLEET = 12
PER_S = 2
RETURN_S = 60.0
CROWD = 20  # let in one a second: an agent that starts on a loaded machine still finds them waiting
ITS_TURN_S = 4.0  # long enough to be asked meanwhile
EXACT_S = 3.0  # a loaded machine wakes late; a gap of the backoff on top would add up over the fleet


async def paced(world: World, per_s: int) -> None:
    world.bridge.stop()
    world.bridge.settings["ADMISSIONS_PER_S"] = str(per_s)
    await world.bridge.start()


async def all_up(fleet: list[Member], times: int) -> None:
    await until(lambda: all(len(one.up_s) >= times for one in fleet), within_s=RETURN_S)


async def test_a_fleet_comes_in_at_the_rate_and_each_agent_asks_twice(world: World, tmp_path: Path) -> None:
    await paced(world, PER_S)
    base_url = f"http://127.0.0.1:{world.http_link.port}"
    async with running_fleet(tmp_path / "fleet", base_url, world.cluster.token("bash"), FLEET) as fleet:
        await all_up(fleet, times=1)
        asked = [len(one.waits) for one in fleet]
        cut_s = time.monotonic()
        world.amqp_link.cut()
        world.amqp_link.restore()
        await all_up(fleet, times=2)
        admitted_s = sorted(one.admitted_s[1] for one in fleet)
        for number, at_s in enumerate(admitted_s, 1):
            assert at_s >= cut_s + (number - PER_S) / PER_S
        assert [len(one.waits) - before <= 1 for one, before in zip(fleet, asked, strict=True)] == [
            True
        ] * FLEET
        for told_s, wait_s, back_s in turns(fleet, since_s=cut_s):
            assert told_s + wait_s <= back_s <= told_s + wait_s + EXACT_S


def turns(fleet: list[Member], since_s: float) -> list[tuple[float, float, float]]:
    """When each was told its turn, how long it was to wait, and when it was let in."""
    return [
        (told_s, wait_s, one.admitted_s[-1])
        for one in fleet
        for told_s, wait_s in one.waits
        if told_s >= since_s
    ]


def waits(agent: Agent) -> list[float]:
    return [event["next_try_s"] for event in agent.events("link.admission_waits")]


@asynccontextmanager
async def crowd(world: World, folder: Path) -> AsyncIterator[list[Member]]:
    """Others that are up, and of which one a second will be let in when they come back."""
    base_url = f"http://127.0.0.1:{world.http_link.port}"
    async with running_fleet(folder, base_url, world.cluster.token("others"), CROWD) as others:
        await all_up(others, times=1)
        await paced(world, 1)
        yield others


async def thrown_off(world: World, others: list[Member]) -> None:
    """All links are cut at once; returns when most of the others have been told their turn."""
    before = sum(len(one.waits) for one in others)
    world.amqp_link.cut()
    world.amqp_link.restore()
    await until(lambda: sum(len(one.waits) for one in others) >= before + CROWD / 2, within_s=RETURN_S)


async def test_an_agent_that_waits_for_its_turn_works_on_and_says_so(world: World, tmp_path: Path) -> None:
    go = tmp_path / "go"
    site = await world.agent("bash")
    job = world.cluster.submit(f"until [ -e {go} ]; do sleep 0.05; done; echo done", "bash")
    await world.cluster.running(job)
    async with crowd(world, tmp_path / "crowd") as others:
        with paused(site):  # whoever asks first is let in at once
            await thrown_off(world, others)
        await until(lambda: waits(site) and waits(site)[-1] > ITS_TURN_S, within_s=RETURN_S)
        told = site.status()
        assert told["link"] == "down"
        assert "waits for its admission: many agents come back at once" in told["link_reason"]
        assert told["custody"] == {"started": 1}
        go.touch()
        await until(lambda: site.status()["backlog"] == 1 or not site.status()["custody"], within_s=20)
        await world.cluster.done(job)
    assert len(world.cluster.attempts(job)) == 1


async def test_a_waiting_agent_does_not_slip_in_by_its_cached_enrolment(world: World, tmp_path: Path) -> None:
    site = await world.agent("bash")
    async with crowd(world, tmp_path / "crowd") as others:
        site.kill()
        await thrown_off(world, others)
        site.launch()
        await site.linked(times=2)
    assert waits(site)
    assert not site.events("enrolment.from_cache")
