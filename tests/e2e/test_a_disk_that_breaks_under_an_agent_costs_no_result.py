"""A disk turns read-only, or loses its power, under a running agent: what runs comes home (I3, I6)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.disks import LoopDisk, loop_disk, needs_root
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = [pytest.mark.broker, needs_root]

Break = Callable[[LoopDisk], None]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path, 64) as disk:
        yield disk


def waiting(agent: Agent) -> set[str]:
    """The jobs whose end waits in memory: first the text of their logs goes to disk, then their results."""
    events = (*agent.events("joblog.dropped"), *agent.events("result.waits_for_disk"))
    return {event["job_id"] for event in events}


@pytest.mark.parametrize(
    ("broken", "name"),
    [(LoopDisk.turn_read_only, "spool.read_only"), (LoopDisk.cut_power, "spool.io_error")],
    ids=["read-only", "no power"],
)
async def test_what_ran_is_recorded_once_the_disk_is_back(
    world: World, disk: LoopDisk, tmp_path: Path, broken: Break, name: str
) -> None:
    agent = world.site("bash", slots=2)
    agent.spool.symlink_to(disk.folder / "spool", target_is_directory=True)
    (disk.folder / "spool").mkdir()
    await agent.start()
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    steps = f"echo $ORVANTA_ATTEMPT >> {trace}; while [ ! -e {gate} ]; do sleep 0.05; done; echo over"
    code = f"{{ {steps}; exit; }}"  # in braces bash has read all of it before the disk breaks
    jobs = [world.cluster.submit(code, "bash") for _ in range(2)]
    for job in jobs:
        await world.cluster.running(job)
    broken(disk)
    late = world.cluster.submit("echo late", "bash")
    gate.touch()
    await until(lambda: len(waiting(agent)) >= 2, within_s=30)
    (said, *_) = await until(lambda: agent.events(name), within_s=30)
    assert str(agent.spool) in said["reason"]
    assert world.cluster.completed() == []
    assert not any(row["accepted_at"] for row in world.cluster.attempts(late))
    disk.put_back()
    await until(lambda: agent.events("spool.writable_again"), within_s=30)
    await world.cluster.all_done([*jobs, late], within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in (*jobs, late)] == ["over", "over", "late"]
    assert trace.read_text().split() == ["1", "1"]
    assert agent.process.is_running()
