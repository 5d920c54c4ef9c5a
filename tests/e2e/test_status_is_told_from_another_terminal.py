"""`python -m agent status` shows link, custody and backlog, while the agent runs and while it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev_tools.places import ROOT
from tests.support.until import until
from tests.support.world import Agent, World, environment


def shown(spool: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "status", "--spool", str(spool)]
    return subprocess.run(command, env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False)


async def text(agent: Agent, *wanted: str) -> None:
    """Returns when the words show."""
    await until(lambda: all(word in shown(agent.spool).stdout for word in wanted), within_s=20)


@pytest.mark.broker
async def test_up_cut_off_and_down(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash", slots=1)
    await text(agent, "agent    running (ag-site-", "link     up", "custody  nothing", "backlog  0")
    gate = tmp_path / "gate"
    first = world.cluster.submit(f"while [ ! -e {gate} ]; do sleep 0.05; done", "bash")
    second = world.cluster.submit("sleep 300", "bash")
    await world.cluster.running(first)
    await world.cluster.accepted(second)
    await text(agent, "1 started", "1 ready")
    world.cut()
    await text(agent, "link     down")
    gate.touch()
    await text(agent, "backlog  1 results wait to leave, the oldest")
    agent.kill()
    await text(agent, "agent    not running (ag-site-", "link     down", "backlog  1")


def test_a_folder_without_a_spool_is_named(tmp_path: Path) -> None:
    ended = shown(tmp_path)
    assert ended.returncode == 1
    assert str(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
