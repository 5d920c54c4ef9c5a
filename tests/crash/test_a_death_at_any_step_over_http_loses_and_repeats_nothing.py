"""`kill -9` at each named step of a link without a broker, on both sides: I1, I2, I3 and I5 hold."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dev_tools.proxy import Cut
from tests.crash.test_every_job_is_recorded_exactly_once_whatever_is_killed import expected, kill_after
from tests.crash.test_every_job_is_recorded_exactly_once_whatever_is_killed import submit as submit_one
from tests.support.deaths import SMALL, Death, Deaths, every_job_has_its_result
from tests.support.killed_at import AGENT_OVER_HTTP, BRIDGE_OVER_HTTP
from tests.support.until import until
from tests.support.world import RECONNECT_S, World

JOBS, FAULTS = 60, 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaths(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deaths]:
    with World(tmp_path_factory.mktemp("deaths")) as world:
        opened = Deaths(world)
        await opened.open()
        yield opened


async def every_job_ended_once(death: Death) -> None:
    await every_job_has_its_result(death, errors_of_once=["Interrupted", "CustodianLost"])
    ran = death.ran()
    for name in SMALL:
        text = death.world.cluster.logs(death.jobs[name])
        assert text.count(f"\n{name}\n") <= ran.count(name), text  # I5


@pytest.mark.parametrize("step", AGENT_OVER_HTTP)
async def test_of_the_agent(deaths: Deaths, step: str) -> None:
    await every_job_ended_once(await deaths.of_the_agent(step))


@pytest.mark.parametrize("step", BRIDGE_OVER_HTTP)
async def test_of_the_bridge(deaths: Deaths, step: str) -> None:
    await every_job_ended_once(await deaths.of_the_bridge(step))


@pytest.mark.parametrize("seed", [1])
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
