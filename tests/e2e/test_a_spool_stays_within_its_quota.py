"""At the quota a site takes and starts nothing, says so by name, and goes on when results have left (I6)."""

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

QUOTA_MB = 8
JOBS = 30
RESULT = 700_000


async def test_results_fill_the_quota_and_no_more(world: World) -> None:
    agent = world.site("bash", slots=2)
    agent.settings["SPOOL_QUOTA_MB"] = str(QUOTA_MB)
    await agent.start()
    blocker = world.cluster.submit("sleep 2", "bash")
    jobs = [world.cluster.submit(f"head -c {RESULT} /dev/zero | tr '\\0' y", "bash") for _ in range(JOBS)]
    for job in jobs:
        await world.cluster.accepted(job)
    assert world.cluster.job(blocker)["type"] == "QueuedJob"
    world.cut()
    await until(lambda: agent.events("job.waits_for_room"), within_s=60)
    seen = await until(lambda: not agent.status()["custody"].get("started") and agent.status(), within_s=60)
    assert seen["custody"]["ready"] > 0
    assert seen["backlog"] >= (QUOTA_MB - 3) * 1_000_000 // RESULT
    assert seen["spool"]["used_mb"] <= QUOTA_MB
    assert (seen["spool"]["quota_mb"], seen["spool"]["waiting_for_room"]) == (QUOTA_MB, 1)
    said = agent.events("job.waits_for_room")[0]["reason"]
    assert "raise SPOOL_QUOTA_MB or free the disk. Held jobs go on." in said
    world.restore()
    await world.cluster.all_done([blocker, *jobs], within_s=2 * RECONNECT_S)
    assert {len(world.cluster.job(job)["result"]) for job in jobs} == {RESULT}
    await until(lambda: agent.status()["spool"]["used_mb"] < 1, within_s=30)


async def test_log_text_past_its_bound_is_a_marked_gap_and_costs_no_result(world: World) -> None:
    agent = world.site("bash")
    agent.settings["SPOOL_LOG_MB"] = "1"
    await agent.start()
    await agent.linked()
    job = world.cluster.submit(
        "sleep 3; for i in $(seq 3000); do printf '%01000d\\n' $i; done; echo end", "bash"
    )
    await world.cluster.running(job)
    world.cut()
    await until(lambda: agent.status()["backlog"], within_s=60)
    assert agent.events("joblog.over_limit")
    assert agent.status()["spool"]["log_most_mb"] == 1
    world.restore()
    assert (await world.cluster.done(job, within_s=RECONNECT_S))["result"] == "end"
    await until(lambda: "dropped" in world.cluster.logs(job), within_s=30)
    text = world.cluster.logs(job)
    kept, _, gap = text.rpartition("[... ")
    dropped = int(gap.split()[0])
    assert "bytes dropped: log limit ...]" in gap
    assert len(kept) <= 1024 * 1024 + 200
    assert text.count("dropped") == 1
    assert abs(len(kept) + dropped - 3000 * 1001) < 400  # but for the header, and "end"
