"""I1 and I3 under a stream of jobs, with agent and bridge killed at seeded random moments."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, Bridge, World

pytestmark = pytest.mark.broker

JOBS = 60
KILLS = 6


@pytest.mark.parametrize("seed", [1])
async def test_every_job_is_recorded_exactly_once(world: World, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 a seeded choice of moments, no secret
    agent = await world.agent("bash", "python", slots=2)
    trace = tmp_path / "trace"
    jobs = [submit(world, trace, number) for number in range(JOBS)]
    for _ in range(KILLS):
        moment = draw.uniform(0.0, 0.8)
        await kill_after(moment, draw.choice((agent, world.bridge)))
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    print(f"seed={seed} recorded={len(world.cluster.completed())}")  # noqa: T201 replays a failure
    for number, job in enumerate(jobs):
        record = world.cluster.job(job)
        assert record["success"], record["result"]
        assert record["result"] == expected(number)
    ran = list(map(int, trace.read_text().split()))
    assert set(ran) == set(range(JOBS))  # at least once; a crash may repeat a run but never a record
    rows = world.cluster.custody()
    assert {row["job_id"] for row in rows} == set(jobs)
    await until(lambda: agent.status()["custody"] == {}, within_s=20)
    assert agent.status()["quarantined"] == 0


def submit(world: World, trace: Path, number: int) -> str:
    if number % 10:
        return world.cluster.submit(f"echo {number} >> {trace}; sleep 0.05; echo {number}", "bash")
    code = f"def main():\n    open({str(trace)!r}, 'a').write('{number}\\n')\n    return 'y' * 300_000"
    return world.cluster.submit(code, "python", "python3")


def expected(number: int) -> str:
    return str(number) if number % 10 else "y" * 300_000


async def kill_after(moment_s: float, victim: Agent | Bridge) -> None:
    """The moment is the test's input, so it is a timer and no wait for a condition."""
    timer = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(moment_s, timer.set_result, None)
    await timer
    victim.kill()
    if isinstance(victim, Bridge):
        await victim.start()
    else:
        victim.launch()
