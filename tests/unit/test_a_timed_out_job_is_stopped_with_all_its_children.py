from pathlib import Path

import pytest

from agent.executor.limits import Limits
from tests.unit.executing import Site, has_ended

FAMILY = """
sleep 300 & echo $!
bash -c 'sleep 300 & echo $!; wait' &
{away}
wait
"""


@pytest.mark.parametrize(
    "away", ["", "setsid sleep 300 & echo $!", "setsid sleep 300 > /dev/null 2>&1 & echo $!"]
)
async def test_no_grandchild_outlives_the_time_limit(tmp_path: Path, away: str) -> None:
    ran = await Site(tmp_path).bash(FAMILY.format(away=away), timeout_s=0.5)
    assert not ran.outcome.success
    pids = [int(line) for line in ran.log.split()]
    assert len(pids) == 2 + bool(away)
    assert all(has_ended(pid) for pid in pids)


async def test_the_error_object_names_the_job_s_own_limit(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("sleep 300", timeout_s=0.2)
    assert ran.document == {
        "message": "execution error:\njob process terminated due to "
        "timeout after exceeding job-specific duration limit",
        "name": "ExecutionErr",
    }
    assert ran.outcome.canceled_by == "timeout"
    assert 200 <= ran.outcome.duration_ms < 5000


async def test_the_site_s_limit_holds_for_a_job_without_one(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(default_timeout_s=0.2)).bash("sleep 300")
    assert "instance-level duration limit" in ran.document["message"]


async def test_a_job_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(kill_grace_s=0.3))
    ran = await site.python(
        "import signal, time\n"
        "def main():\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    while True: time.sleep(1)\n",
        timeout_s=0.5,
    )
    assert ran.outcome.exit_code == 137
    assert ran.outcome.canceled_by == "timeout"
    assert ran.outcome.duration_ms >= 800


async def test_a_job_that_ends_well_when_asked_has_still_run_out_of_time(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash(
        "trap 'echo cleaned; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done", timeout_s=0.5
    )
    assert "cleaned" in ran.log
    assert ran.outcome.exit_code == 0
    assert not ran.outcome.success
