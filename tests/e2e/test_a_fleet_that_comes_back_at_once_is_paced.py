"""A hiccup of the broker throws all agents off at once: they come back in turn, and work on meanwhile."""

import time
from pathlib import Path

import pytest

from dev_tools.fleet import Member, running_fleet
from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker

FLEET = 12
PER_S = 2
RETURN_S = 60.0
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


async def test_an_agent_that_waits_for_its_turn_works_on_and_says_so(world: World, tmp_path: Path) -> None:
    await paced(world, 1)
    go = tmp_path / "go"
    sites = [await world.agent(f"pos-{number}") for number in range(4)]
    code = f"until [ -e {go} ]; do sleep 0.05; done; echo done"
    jobs = [world.cluster.submit(code, f"pos-{number}") for number in range(4)]
    for job in jobs:
        await world.cluster.running(job)
    before = [len(waits(site)) for site in sites]
    world.amqp_link.cut()
    world.amqp_link.restore()
    last = await until(lambda: next((s for s in sites if waits(s) and waits(s)[-1] > 2), None), within_s=20)
    told = last.status()
    assert told["link"] == "down"
    assert "waits for its admission: many agents come back at once" in told["link_reason"]
    assert told["custody"] == {"started": 1}
    go.touch()
    await until(lambda: last.status()["backlog"] == 1 or not last.status()["custody"], within_s=20)
    await world.cluster.all_done(jobs)
    assert sum(len(waits(site)) for site in sites) - sum(before) >= 3
    assert all(len(world.cluster.attempts(job)) == 1 for job in jobs)


async def test_a_waiting_agent_does_not_slip_in_by_its_cached_enrolment(world: World) -> None:
    await paced(world, 1)
    sites = [await world.agent("bash") for _ in range(3)]
    for site in sites:
        site.kill()
    for site in sites:
        site.launch()
    for site in sites:
        await site.linked(times=2)
    assert [site.events("enrolment.from_cache") for site in sites] == [[]] * 3
    assert sum(bool(waits(site)) for site in sites) >= 2
