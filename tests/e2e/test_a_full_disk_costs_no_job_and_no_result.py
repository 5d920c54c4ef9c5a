"""A site whose disk fills up takes nothing new, and what it holds comes home once there is room (I6)."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev_tools.places import ROOT
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World, environment

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a tmpfs"),
]

DISK_MB = 48
HELD = 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return ballast


def site_on(world: World, disk: Path, *tags: str, slots: int) -> Agent:
    site = world.site(*tags, slots=slots)
    site.spool.symlink_to(disk, target_is_directory=True)
    return site


async def test_what_runs_when_the_disk_fills_is_recorded_once_there_is_room(
    world: World, disk: Path, tmp_path: Path
) -> None:
    agent = site_on(world, disk, "bash", slots=HELD)
    await agent.start()
    gate = tmp_path / "gate"
    code = f"while [ ! -e {gate} ]; do sleep 0.05; done; head -c 200000 /dev/zero | tr '\\0' y"
    jobs = [world.cluster.submit(code, "bash") for _ in range(HELD)]
    for job in jobs:
        await world.cluster.running(job)
    ballast = fill(disk)
    late = world.cluster.submit("echo late", "bash")
    await until(lambda: agent.events("consumer.closed") or agent.events("link.down"), within_s=20)
    gate.touch()
    await until(lambda: len(agent.events("result.waits_for_disk")) >= HELD, within_s=20)
    assert world.cluster.completed() == []
    ballast.unlink()
    await world.cluster.all_done([*jobs, late], within_s=RECONNECT_S)
    assert [len(world.cluster.job(job)["result"]) for job in jobs] == [200_000] * HELD
    assert all(row["attempt"] == 1 and row["late"] == 0 for row in world.cluster.custody())


def test_a_start_on_a_full_disk_is_refused_by_name(disk: Path) -> None:
    fill(disk)
    settings = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://127.0.0.1:9"}
    ended = subprocess.run(
        [sys.executable, "-m", "agent", "--spool", str(disk / "spool")],
        env=environment(settings), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "is full" in line
    assert "free some space" in line
