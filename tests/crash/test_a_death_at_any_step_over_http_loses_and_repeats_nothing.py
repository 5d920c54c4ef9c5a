"""`kill -9` at each named step of a link without a broker, on both sides: I1, I2, I3 and I5 hold."""

import random
from pathlib import Path

import pytest

from dev_tools.proxy import Cut
from tests.crash.test_every_job_is_recorded_exactly_once_whatever_is_killed import expected, kill_after
from tests.crash.test_every_job_is_recorded_exactly_once_whatever_is_killed import submit as submit_one
from tests.support.deaths import (
    SMALL,
    agent_that_died_at,
    dies_and_is_started_again,
    every_job_has_its_result,
    submit,
)
from tests.support.killed_at import AGENT_OVER_HTTP, BRIDGE_OVER_HTTP
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World, paused

JOBS, FAULTS = 60, 8


async def every_job_ended_once(world: World, agent: Agent, jobs: dict[str, str], trace: Path) -> None:
    lost = ["Interrupted", "CustodianLost"]
    ran = await every_job_has_its_result(world, jobs, trace, errors_of_once=lost)
    await until(lambda: agent.status()["custody"] == {}, within_s=RECONNECT_S)
    assert agent.status()["quarantined"] == 0
    for name in SMALL:
        text = world.cluster.logs(jobs[name])
        assert text.count(f"\n{name}\n") <= ran.count(name), text  # I5


@pytest.mark.parametrize("step", AGENT_OVER_HTTP)
async def test_of_the_agent(brokerless: World, tmp_path: Path, step: str) -> None:
    trace = tmp_path / "trace"
    agent, jobs = await agent_that_died_at(step, brokerless, trace)
    await every_job_ended_once(brokerless, agent, jobs, trace)


@pytest.mark.parametrize("step", BRIDGE_OVER_HTTP)
async def test_of_the_bridge(brokerless: World, tmp_path: Path, step: str) -> None:
    mark, trace = tmp_path / "mark", tmp_path / "trace"
    brokerless.bridge.will_die_at(step, mark)
    brokerless.bridge.stop()
    await brokerless.bridge.start()
    agent = await brokerless.agent("bash", slots=2)
    with paused(agent):  # so that it lives until all are submitted
        jobs = submit(brokerless, trace)
        mark.touch()
    await dies_and_is_started_again(brokerless.bridge)
    await every_job_ended_once(brokerless, agent, jobs, trace)


@pytest.mark.parametrize("seed", [1, 2])
async def test_under_a_stream_of_jobs_with_deaths_and_cuts(
    brokerless: World, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 a seeded choice of moments, no secret
    agent = await brokerless.agent("bash", "python", slots=2)
    trace = tmp_path / "trace"
    jobs = [submit_one(brokerless, trace, number) for number in range(JOBS)]
    for _ in range(FAULTS):
        moment = draw.uniform(0.0, 0.8)
        if draw.random() < 0.5:
            brokerless.http_link.cut(draw.choice((Cut.REFUSE, Cut.DOWN, Cut.STALL)))
            await kill_after(moment, agent) if draw.random() < 0.5 else None
            brokerless.http_link.cut()
            brokerless.http_link.restore()
        else:
            await kill_after(moment, draw.choice((agent, brokerless.bridge)))
    await brokerless.cluster.all_done(jobs, within_s=2 * RECONNECT_S)
    print(f"seed={seed} recorded={len(brokerless.cluster.completed())}")  # noqa: T201 replays a failure
    for number, job in enumerate(jobs):
        assert brokerless.cluster.job(job)["result"] == expected(number)
    assert set(map(int, trace.read_text().split())) == set(range(JOBS))
    await until(lambda: agent.status()["custody"] == {}, within_s=RECONNECT_S)
