"""Custody: what a site holds is run without a link, and recorded when the link returns."""

from pathlib import Path

import pytest

from dev_tools.proxy import Cut
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = pytest.mark.broker

SLOW = "while [ ! -e {gate} ]; do sleep 0.05; done; echo ran >> {trace}; echo {word}"


async def backlog(agent: Agent, size: int) -> None:
    await until(lambda: agent.status().get("backlog") == size, within_s=20)


async def test_jobs_finish_during_the_cut_and_are_recorded_after_it(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=2)
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    jobs = [world.cluster.submit(SLOW.format(gate=gate, trace=trace, word=n), "bash") for n in range(5)]
    for job in jobs:
        await world.cluster.accepted(job)
    world.cut()
    await until(lambda: agent.links("down"))
    gate.touch()
    await backlog(agent, 5)
    assert world.cluster.completed() == []
    world.restore()
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in jobs] == ["0", "1", "2", "3", "4"]
    assert trace.read_text().splitlines() == ["ran"] * 5
    rows = world.cluster.custody()
    assert len(rows) == 5
    assert all(row["finished_while_down"] for row in rows)


async def test_the_same_large_result_of_several_jobs_survives_the_cut(world: World, tmp_path: Path) -> None:
    agent = await world.agent("python", slots=2)
    gate = tmp_path / "gate"
    code = f"import os, time\ndef main():\n    while not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    jobs = [world.cluster.submit(f"{code}    return 'y' * 300_000", "python", "python3") for _ in range(8)]
    for job in jobs:
        await world.cluster.accepted(job)
    world.cut()
    gate.touch()
    await backlog(agent, 8)
    world.restore()
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert all(world.cluster.job(job)["result"] == "y" * 300_000 for job in jobs)
    assert agent.status()["quarantined"] == 0


async def test_a_link_that_only_stalls_is_found_out(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    job = world.cluster.submit(SLOW.format(gate=gate, trace=trace, word="on"), "bash")
    await world.cluster.running(job)
    world.http_link.cut(Cut.STALL)
    world.amqp_link.cut(Cut.STALL)
    gate.touch()
    await until(lambda: agent.links("down"), within_s=60)
    world.restore()
    assert (await world.cluster.done(job, within_s=RECONNECT_S))["result"] == "on"


async def test_an_agent_boots_from_its_cached_enrolment(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=1)
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    jobs = [world.cluster.submit(SLOW.format(gate=gate, trace=trace, word=n), "bash") for n in range(3)]
    for job in jobs:
        await world.cluster.accepted(job)
    world.cut()
    agent.kill()
    gate.touch()
    agent.launch()
    await backlog(agent, 3)
    assert agent.status()["link"] == "down"
    assert agent.status()["worker"].startswith("ag-site-")
    world.restore()
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)


async def test_only_the_http_side_is_away_and_the_cached_enrolment_serves(world: World) -> None:
    agent = await world.agent("bash")
    agent.stop()
    world.http_link.cut()
    await agent.start()
    assert (await world.cluster.done(world.cluster.submit("echo here", "bash")))["result"] == "here"
