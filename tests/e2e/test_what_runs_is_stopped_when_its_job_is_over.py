"""A lost agent comes back with the job running: the first result wins, then the other run is stopped."""

from pathlib import Path

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World, paused

pytestmark = pytest.mark.broker

LOST_AFTER_S = 15
LOSING_S = 90.0


def code(folder: Path) -> str:
    """The first attempt runs until it is stopped; the second until `go` is there."""
    run = f"echo $ORVANTA_ATTEMPT >> {folder}/trace"
    first = f"trap 'echo stopped >> {folder}/trace; exit 1' TERM; while :; do sleep 0.1; done"
    second = f"until [ -e {folder}/go ]; do sleep 0.1; done; echo second"
    return f"{run}; if [ $ORVANTA_ATTEMPT = 1 ]; then {first}; else {second}; fi"


async def test_a_superseded_run_goes_on_until_another_result_is_recorded(
    world: World, tmp_path: Path
) -> None:
    lost = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(code(tmp_path), "bash", lost_after=LOST_AFTER_S)
    await world.cluster.running(job)
    with paused(lost):
        await until(lambda: len(world.cluster.attempts(job)) == 2, within_s=LOSING_S)
        await world.agent("bash")
        await until(lambda: "2" in trace.read_text().split(), within_s=RECONNECT_S)
    await lost.linked(2)
    await until(lambda: world.cluster.attempts(job)[0]["revoked"] == "superseded")
    assert lost.status()["custody"] == {"started": 1}  # its own result may still be the first
    assert "stopped" not in trace.read_text()
    (tmp_path / "go").touch()
    assert (await world.cluster.done(job))["result"] == "second"
    await until(lambda: "stopped" in trace.read_text(), within_s=RECONNECT_S)
    await until(lambda: not lost.status()["custody"])
    assert [row["outcome"] for row in world.cluster.attempts(job)] == ["lost", "success"]


async def test_a_run_of_a_job_that_was_ended_is_stopped(world: World, tmp_path: Path) -> None:
    lost = await world.agent("bash")
    trace = tmp_path / "trace"
    job = world.cluster.submit(code(tmp_path), "bash", lost_after=LOST_AFTER_S, delivery="at_most_once")
    patient = world.cluster.submit("echo patient", "bash", delivery="at_most_once")
    await world.cluster.running(job)
    await world.cluster.accepted(patient)
    world.cut()
    record = await world.cluster.done(job, within_s=LOSING_S)
    assert record["result"]["error"]["name"] == "CustodianLost"
    assert world.cluster.job(patient)["type"] == "QueuedJob"  # its own lost_after is a day
    world.restore()
    assert (await world.cluster.done(patient, within_s=RECONNECT_S))["result"] == "patient"
    assert trace.read_text().split() == ["1", "stopped"]
    await until(lambda: not lost.status()["custody"])
