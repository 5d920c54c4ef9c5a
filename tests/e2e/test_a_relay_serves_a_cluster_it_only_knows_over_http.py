"""`python -m bridge relay`: the path that an operator's own Orvanta takes, here to an embedded cluster."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.places import ROOT
from tests.support.until import until
from tests.support.world import Agent, Bridge, World, environment

pytestmark = pytest.mark.broker

PYTHON = "def main(n: int, word: str = 'x'):\n    print('working')\n    return word * n"


@pytest.fixture
def far_broker(broker: Broker) -> Iterator[str]:
    """The relay's own virtual host: the cluster's bridge sees nothing of it."""
    with fresh_vhost(broker) as url:
        yield url


@pytest.fixture
async def relay(world: World, far_broker: str) -> Bridge:
    bridge = world.relay(world.cluster.token("bash", "python", group="relay"), far_broker)
    await bridge.start()
    return bridge


@pytest.fixture
async def site(world: World, relay: Bridge) -> Agent:
    agent = world.site("bash", "python", base_url=relay.url, slots=2)
    await agent.start()
    return agent


async def test_jobs_make_the_round_trip(world: World, site: Agent) -> None:
    hello = world.cluster.submit('name="$1"\necho "hello $name"', "bash", args={"name": "süd"})
    large = world.cluster.submit(PYTHON, "python", "python3", {"n": 300_000})
    failing = world.cluster.submit("exit 3", "bash")
    assert (await world.cluster.done(hello))["result"] == "hello süd"
    assert (await world.cluster.done(large))["result"] == "x" * 300_000
    assert (await world.cluster.done(failing))["result"]["error"]["exit_code"] == 3
    await until(lambda: world.cluster.logs(large).count("working\n") == 1)
    assert world.cluster.custody() == []  # the cluster's own bridge had no part in it


async def test_a_cancel_is_passed_on(world: World, site: Agent) -> None:
    job = world.cluster.submit("echo begun; sleep 300", "bash")
    await until(lambda: "begun" in world.cluster.logs(job))
    world.cluster.cancel(job, "not wanted")
    record = await world.cluster.done(job)
    assert record["canceled"]
    assert record["canceled_reason"] == "not wanted"


async def test_the_relay_and_the_cluster_are_killed_in_turn(
    world: World, relay: Bridge, site: Agent, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    jobs = [world.cluster.submit(f"echo {n} >> {trace}; sleep 0.2; echo {n}", "bash") for n in range(20)]
    await until(lambda: len(world.cluster.completed()) >= 4)
    relay.kill()
    await relay.start()
    await until(lambda: len(world.cluster.completed()) >= 10)
    world.bridge.kill()
    await world.bridge.start()
    await world.cluster.all_done(jobs, within_s=60)
    assert [world.cluster.job(job)["result"] for job in jobs] == [str(n) for n in range(20)]
    assert set(map(int, trace.read_text().split())) == set(range(20))


async def test_a_new_token_is_handed_over_by_the_live_link(
    world: World, relay: Bridge, site: Agent, tmp_path: Path
) -> None:
    """The job that runs meanwhile stays with its agent."""
    go, links = tmp_path / "go", site.links("up")
    running = world.cluster.submit(f"echo begun; until [ -e {go} ]; do sleep 0.1; done; echo on", "bash")
    await until(lambda: "begun" in world.cluster.logs(running), within_s=30)
    new, worker = world.cluster.token("bash", "python", lives_s=7200), site.status()["worker"]
    said = await rotated(relay, worker, new)
    assert (said["worker"], new in str(said)) == (worker, False)
    await site.linked(links + 1)
    assert site.events("token.renewed")
    go.touch()
    assert (await world.cluster.done(running))["result"] == "on"
    assert (site.status()["worker"], site.log.read_text().count(new)) == (worker, 0)
    site.stop()
    await site.start()  # with the settings of old
    assert (await world.cluster.done(world.cluster.submit("echo again", "bash")))["result"] == "again"


async def rotated(relay: Bridge, worker: str, token: str) -> Any:
    """`python -m bridge tokens rotate`, beside the running relay; the token by stdin."""
    command = [sys.executable, "-m", "bridge", "tokens", "rotate", worker, "--token-file", "-"]
    ended = await asyncio.to_thread(
        subprocess.run, command, env=environment(relay.settings), cwd=ROOT, input=token, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return json.loads(ended.stdout)


async def test_a_token_that_the_cluster_does_not_know_is_refused(world: World, relay: Bridge) -> None:
    forged = world.cluster.token("bash")[:-4] + "AAAA"
    agent = world.site("bash", base_url=relay.url, token=forged)
    agent.launch()
    await until(lambda: agent.events("token.refused"))
    assert agent.process.is_running()
