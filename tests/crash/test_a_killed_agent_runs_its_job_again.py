"""`kill -9` of an agent: what it had started is run again, and recorded once."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

TWICE = "echo run >> {trace}; [ $(wc -l < {trace}) -gt {needed} ] || sleep 300; echo attempt $ORVANTA_ATTEMPT"


def runs(trace: Path) -> int:
    return len(trace.read_text().splitlines()) if trace.exists() else 0


async def test_a_job_that_was_running_is_run_again(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(TWICE.format(trace=trace, needed=1), "bash")
    await until(lambda: runs(trace) == 1)
    agent.kill()
    await agent.start()
    record = await world.cluster.done(job)
    assert record["result"] == "attempt 1"
    assert runs(trace) == 2
    await until(lambda: "interrupted" in world.cluster.logs(job))
    assert len(world.cluster.attempts(job)) == 1


async def test_the_process_of_the_first_life_is_gone_before_the_second_run(
    world: World, tmp_path: Path
) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    code = f"echo $$ >> {trace}; for pid in $(head -n -1 {trace}); "
    code += "do grep -qs '^State:.[RSD]' /proc/$pid/status && exit 9; done; "
    code += f"[ $(wc -l < {trace}) -gt 1 ] || sleep 300; echo alone"
    job = world.cluster.submit(code, "bash")
    await until(lambda: runs(trace) == 1)
    agent.kill()
    await agent.start()
    assert (await world.cluster.done(job))["result"] == "alone"


async def test_a_job_that_kills_its_agent_every_time_is_poison(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(f"echo run >> {trace}; sleep 300", "bash")
    for life in range(1, 5):
        await until(lambda life=life: runs(trace) == life, within_s=20)  # type: ignore[misc]  # mypy infers no lambda default
        agent.kill()
        agent.launch()
    record = await world.cluster.done(job)
    assert record["result"]["error"]["name"] == "Poison"
    assert runs(trace) == 4


async def test_an_at_most_once_job_is_never_run_again(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(f"echo run >> {trace}; sleep 300", "bash", delivery="at_most_once")
    await until(lambda: runs(trace) == 1)
    agent.kill()
    agent.launch()
    record = await world.cluster.done(job)
    assert record["result"]["error"]["name"] == "Interrupted"
    assert runs(trace) == 1  # I2


async def test_a_drain_finishes_what_runs_and_leaves_with_0(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(f"echo run >> {trace}; sleep 2; echo drained", "bash")
    await until(lambda: runs(trace) == 1)
    assert agent.stop() == 0
    assert (await world.cluster.done(job))["result"] == "drained"
