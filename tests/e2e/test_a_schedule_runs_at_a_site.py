"""Schedules of the real bridge, the jobs of which run at a site; and a limit below the slots of that site."""

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

TELLS = 'echo "{\\"path\\": \\"$WM_SCHEDULE_PATH\\", \\"state\\": \\"$WM_STATE_PATH\\"}" > result.json'


def deploy(world: World, path: str, content: str, **limits: int) -> None:
    script = {"path": path, "content": content, "language": "bash", "tag": "bash"}
    world.cluster.post("/api/w/main/scripts/create", script | limits)


async def test_each_second_it_runs_and_knows_its_schedule(calm: World) -> None:
    deploy(calm, "f/tick/tells", TELLS)
    schedule = {
        "path": "f/tick/second", "schedule": "* * * * * *", "timezone": "Europe/Paris",
        "script_path": "f/tick/tells", "args": {}, "enabled": True,
    }  # fmt: skip
    calm.cluster.post("/api/w/main/schedules/create", schedule)
    listed = "/api/w/main/jobs/completed/list?schedule_path=f/tick/second"
    jobs = await until(
        lambda: (found := calm.cluster.read(listed)) and len(found) >= 3 and found, within_s=60
    )
    calm.cluster.post("/api/w/main/schedules/setenabled/f/tick/second", {"enabled": False})
    assert len({job["scheduled_for"] for job in jobs}) == len(jobs)
    result = calm.cluster.job(jobs[0]["id"])["result"]
    assert result == {"path": "f/tick/second", "state": "f/tick/tells/schedule-f-tick-second"}


async def test_a_limit_of_one_is_kept_on_two_slots(calm: World) -> None:
    alone = calm.folder / "alone"
    deploy(calm, "f/limit/alone", f"mkdir {alone} && sleep 0.3 && rmdir {alone}; echo $?", concurrent_limit=1)
    jobs = [calm.cluster.post("/api/w/main/jobs/run/p/f/limit/alone", {}) for _ in range(6)]
    await calm.cluster.all_done(jobs, within_s=60)
    assert [calm.cluster.job(job)["result"] for job in jobs] == ["0"] * 6
