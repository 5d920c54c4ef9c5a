"""At the quota a site takes and starts nothing, says so by name, and goes on when results have left (I6)."""

import re
from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

MARK = re.compile(r"\n\[\.\.\. (\d+) bytes dropped: log limit \.\.\.\]\n")

QUOTA_MB = 8
JOBS = 30
RESULT = 700_000
LINES = 3000


def wait_for(gate: Path) -> str:
    return f"while [ ! -e {gate} ]; do sleep 0.05; done; "


async def test_results_fill_the_quota_and_no_more(world: World, tmp_path: Path) -> None:
    agent = world.site("bash", slots=2)
    agent.settings["SPOOL_QUOTA_MB"] = str(QUOTA_MB)
    await agent.start()
    code = wait_for(tmp_path / "gate") + f"head -c {RESULT} /dev/zero | tr '\\0' y"
    jobs = [world.cluster.submit(code, "bash") for _ in range(JOBS)]
    for job in jobs:
        await world.cluster.accepted(job)
    world.cut()
    await until(lambda: agent.links("down"))
    (tmp_path / "gate").touch()
    await until(lambda: agent.events("job.waits_for_room"), within_s=60)
    seen = await until(lambda: not agent.status()["custody"].get("started") and agent.status(), within_s=60)
    assert seen["custody"]["ready"] > 0
    assert seen["backlog"] >= (QUOTA_MB - 3) * 1_000_000 // RESULT
    assert (QUOTA_MB - 3) * 0.9 <= seen["spool"]["used_mb"] <= QUOTA_MB
    assert seen["spool"]["quota_mb"] == QUOTA_MB
    assert seen["spool"]["waiting_for_room"]
    said = agent.events("job.waits_for_room")[0]["reason"]
    assert "raise SPOOL_QUOTA_MB or free the disk. Held jobs go on." in said
    world.restore()
    await world.cluster.all_done(jobs, within_s=2 * RECONNECT_S)
    assert {len(world.cluster.job(job)["result"]) for job in jobs} == {RESULT}
    await until(lambda: agent.status()["spool"]["used_mb"] < 1, within_s=30)


async def test_log_text_past_its_bound_is_a_marked_gap_and_costs_no_result(
    world: World, tmp_path: Path
) -> None:
    agent = world.site("bash")
    agent.settings["SPOOL_LOG_MB"] = "1"
    await agent.start()
    await agent.linked()
    code = f"for i in $(seq {LINES}); do printf '%01000d\\n' $i; done; echo end"
    job = world.cluster.submit(wait_for(tmp_path / "gate") + code, "bash")
    await world.cluster.running(job)
    world.cut()
    await until(lambda: agent.links("down"))
    (tmp_path / "gate").touch()
    await until(lambda: agent.status()["backlog"], within_s=60)
    assert agent.events("joblog.over_limit")
    world.restore()
    assert (await world.cluster.done(job, within_s=RECONNECT_S))["result"] == "end"
    await until(lambda: agent.status()["spool"].get("log_mb") == 0, within_s=30)
    await until(lambda: sum(kept_and_dropped(world, job)) == LINES * 1001 + len("end\n"), within_s=60)  # I5
    kept, dropped = kept_and_dropped(world, job)
    assert dropped > 0
    assert 0.5 * 1024 * 1024 < kept <= 1024 * 1024  # a slow machine drops more at once


def kept_and_dropped(world: World, job: str) -> tuple[int, int]:
    """Characters of the job's own text that arrived, and those that a mark stands for."""
    _header, _, text = world.cluster.logs(job).partition("\n")
    gaps = [int(size) for size in MARK.findall(text)]
    return len(MARK.sub("", text)), sum(gaps)
