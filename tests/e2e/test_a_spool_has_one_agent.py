"""A spool folder that cannot be used, or is in use, is refused by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev_tools.places import ROOT
from tests.support.world import World, environment


def start(spool: Path) -> subprocess.CompletedProcess[str]:
    settings = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "agent", "--spool", str(spool)]
    return subprocess.run(
        command, env=environment(settings), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.broker
async def test_a_second_agent_is_refused_and_the_first_goes_on(world: World) -> None:
    agent = await world.agent("bash")
    second = start(agent.spool)
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert str(agent.spool) in line
    assert (await world.cluster.done(world.cluster.submit("echo on", "bash")))["result"] == "on"


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = start(tmp_path / "file")
    assert ended.returncode == 1
    assert str(tmp_path / "file") in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    ended = start(Path("/proc/orvanta-spool"))
    assert ended.returncode == 1
    assert "/proc/orvanta-spool" in ended.stderr
    assert "Traceback" not in ended.stderr
