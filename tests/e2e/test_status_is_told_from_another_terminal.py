"""`python -m agent status` shows link, custody and backlog, while the agent runs and while it does not.

Its page shows the same, with a link and without; and the doctor finds nothing wrong with a site that is well.
"""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from tests.support.until import until
from tests.support.world import Agent, World, environment


def shown(spool: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "status", "--spool", str(spool)]
    return subprocess.run(command, env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False)


async def text(agent: Agent, *wanted: str) -> None:
    """Returns when the words show."""
    await until(lambda: all(word in shown(agent.spool).stdout for word in wanted), within_s=20)


async def page(port: int, wanted: str) -> None:
    """Returns when the agent's page shows it."""
    await until(lambda: wanted in httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text)


def is_well(agent: Agent) -> None:
    """The doctor, with the agent's settings and beside it: also the broker lets it in."""
    command = [sys.executable, "-m", "agent", "doctor", "--spool", str(agent.spool), "--json"]
    ended = subprocess.run(
        command, env=environment(agent.settings), cwd=ROOT, capture_output=True, text=True, check=False
    )
    checks = {one["name"]: one for one in json.loads(ended.stdout)["checks"]}
    assert [one for one in checks.values() if one["verdict"] == "fail"] == []
    assert ended.returncode == 0
    assert checks["cluster login"]["said"].endswith("takes the token, and this device")
    assert checks["broker login"]["verdict"] == "ok"


@pytest.mark.broker
async def test_up_cut_off_and_down(world: World, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    agent = world.site("bash", slots=1, more=["--status-port", str(port)])
    await agent.start()
    await text(agent, "agent    running (ag-site-", "link     up", "custody  nothing", "backlog  0")
    await page(port, '<dd class="good">up')
    is_well(agent)
    gate = tmp_path / "gate"
    first = world.cluster.submit(f"while [ ! -e {gate} ]; do sleep 0.05; done", "bash")
    second = world.cluster.submit("sleep 300", "bash")
    await world.cluster.running(first)
    await world.cluster.accepted(second)
    await text(agent, "1 started", "1 ready")
    world.cut()
    await text(agent, "link     down")
    await page(port, '<dd class="warn">down')
    gate.touch()
    await text(agent, "backlog  1 results wait to leave, the oldest")
    agent.kill()
    await text(agent, "agent    not running (ag-site-", "link     down", "backlog  1")


def test_a_folder_without_a_spool_is_named(tmp_path: Path) -> None:
    ended = shown(tmp_path)
    assert ended.returncode == 1
    assert str(tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
