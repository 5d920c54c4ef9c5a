"""Reads, writes or fsyncs fail under a running agent, and some time later they do not (I1, I2, I3, I6)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.failing_disk import EVERYTHING, FailingDisk, failing_disk, needs_fuse
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = [pytest.mark.broker, needs_fuse]

DELIVERIES = ("at_least_once", "at_most_once")
NOTICED_S = 30.0
LARGE = 300_000  # a document of its own file, in parts
ROUNDS = 2
REFUSALS = ("spool.refused", "joblog.dropped", "result.waits_for_disk", "link.retry")


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[FailingDisk]:
    async with failing_disk(tmp_path) as disk:
        yield disk


async def agent_on(disk: FailingDisk, world: World, slots: int) -> Agent:
    agent = world.site("bash", slots=slots)
    (disk.folder / "spool").mkdir()
    agent.spool.symlink_to(disk.folder / "spool", target_is_directory=True)
    await agent.start()
    return agent


def waiting(agent: Agent) -> set[str]:
    """The jobs whose end waits in memory: first the text of their logs goes to disk, then their results."""
    events = (*agent.events("joblog.dropped"), *agent.events("result.waits_for_disk"))
    return {event["job_id"] for event in events}


def refusals(agent: Agent) -> int:
    """How often the disk has said no to it."""
    return sum(len(agent.events(name)) for name in REFUSALS)


@pytest.mark.parametrize("what", [("fsync",), EVERYTHING], ids=" ".join)
async def test_what_ran_waits_in_memory_and_nothing_else_begins_until_the_disk_is_well(
    disk: FailingDisk, world: World, tmp_path: Path, what: tuple[str, ...]
) -> None:
    agent = await agent_on(disk, world, slots=2)
    gate, trace = tmp_path / "gate", tmp_path / "trace"
    note = f"echo $WM_JOB_ID >> {trace}"
    gated = f"{{ {note}; while [ ! -e {gate} ]; do sleep 0.05; done; echo over; exit; }}"  # read as a whole
    running = [world.cluster.submit(gated, "bash", delivery=delivery) for delivery in DELIVERIES]
    for job in running:
        await world.cluster.running(job)
    held = [world.cluster.submit(f"{note}; echo over", "bash", delivery=delivery) for delivery in DELIVERIES]
    for job in held:
        await world.cluster.accepted(job)
    disk.fail(*what)
    late = [world.cluster.submit(f"{note}; echo over", "bash", delivery=delivery) for delivery in DELIVERIES]
    gate.touch()
    await until(lambda: waiting(agent) >= set(running), within_s=NOTICED_S)
    (said, *_) = await until(lambda: agent.events("spool.io_error"), within_s=NOTICED_S)
    assert str(agent.spool) in said["reason"]
    assert world.cluster.completed() == []
    assert not any(row["accepted_at"] for job in late for row in world.cluster.attempts(job))
    assert sorted(trace.read_text().split()) == sorted(running)
    disk.mend()
    await until(lambda: agent.events("spool.writable_again"), within_s=NOTICED_S)
    jobs = [*running, *held, *late]
    await world.cluster.all_done(jobs, within_s=RECONNECT_S)
    assert [world.cluster.job(job)["result"] for job in jobs] == ["over"] * len(jobs)
    assert sorted(trace.read_text().split()) == sorted(jobs)
    assert agent.process.is_running()


async def test_faults_that_come_grow_and_go_cost_no_job_and_start_none_twice(
    disk: FailingDisk, world: World, tmp_path: Path
) -> None:
    """A small and a large result of each delivery, in each round, and the faults fall where they fall."""
    agent = await agent_on(disk, world, slots=2)
    trace = tmp_path / "trace"
    shape = f"echo $WM_JOB_ID >> {trace}; head -c %d /dev/zero | tr '\\0' x"
    results = {shape % size: "x" * size for size in (9, LARGE)}
    wanted: dict[str, str] = {}
    for _ in range(ROUNDS):
        for code, result in results.items():
            for delivery in DELIVERIES:
                wanted[world.cluster.submit(code, "bash", delivery=delivery)] = result
        for what in ("fsync", "write", "read"):
            before = refusals(agent)
            disk.fail(what)
            await until(lambda before=before: refusals(agent) > before, within_s=RECONNECT_S)
        disk.mend()
    await world.cluster.all_done(list(wanted), within_s=RECONNECT_S)
    assert {job: world.cluster.job(job)["result"] for job in wanted} == wanted
    assert sorted(trace.read_text().split()) == sorted(wanted)
    assert agent.process.is_running()
