"""Compose files and images as docs/containers.md has them: the core of the demo passes in them."""

import json
import os
import shutil
import time
from typing import Any

import pytest

from tests.containers.conftest import TAG, Sides
from tests.support.until import until

pytestmark = [pytest.mark.containers, pytest.mark.asyncio(loop_scope="session")]

END_S = 10.0
LINK_S = 60.0
SPOOL = "/var/lib/orvanta"


def status(sides: Sides) -> dict[str, Any]:
    """What a person at the site sees."""
    said = sides.engine.run(
        "exec", sides.agent, "python", "-m", "agent", "status", "--json", "--spool", SPOOL
    )
    return dict(json.loads(said))


async def recorded_once(sides: Sides, job_id: str, result: str) -> None:
    record = await sides.cluster.done(job_id, within_s=LINK_S)
    assert (record["success"], record["result"]) == (True, result)
    assert len(sides.cluster.attempts(job_id)) == 1


async def test_a_job_crosses_and_leaves_nothing_behind(sides: Sides) -> None:
    job_id = sides.cluster.submit("for one in 1 2 3; do (setsid sleep 0.1 &); done; echo crossed", TAG)
    await recorded_once(sides, job_id, "crossed")
    zombies = "grep -l '^State:.Z' /proc/[0-9]*/status || true"
    await until(lambda: not sides.engine.run("exec", sides.agent, "sh", "-c", zombies))


async def test_a_site_that_is_cut_off_works_on_and_is_heard_once(sides: Sides) -> None:
    if os.geteuid() != 0 or not shutil.which("nsenter") or not shutil.which("iptables"):
        pytest.skip("cutting a container's link takes root, nsenter and iptables")
    running = sides.cluster.submit("sleep 2; echo while cut off", TAG)
    await sides.cluster.running(running)
    with sides.engine.cut_off(sides.agent):
        later = sides.cluster.submit("echo after", TAG)
        await until(lambda: status(sides)["backlog"] == 1, within_s=LINK_S)
        assert {sides.cluster.job(one)["type"] for one in (running, later)} == {"QueuedJob"}
        assert sides.engine.is_healthy(sides.agent), "cut off is no illness"
    await recorded_once(sides, running, "while cut off")
    await recorded_once(sides, later, "after")


async def test_an_agent_that_is_killed_takes_up_its_job_again(sides: Sides) -> None:
    job_id = sides.cluster.submit("sleep 2; echo again", TAG)
    await sides.cluster.running(job_id)
    sides.engine.run("kill", sides.agent)
    sides.engine.run("start", sides.agent)  # Docker takes a kill by hand for a wish, podman does not
    await recorded_once(sides, job_id, "again")


async def test_the_bridge_ends_in_order_within_seconds_and_goes_on(sides: Sides) -> None:
    began_s = time.monotonic()
    sides.engine.run("stop", "-t", str(2 * int(END_S)), sides.bridge)
    assert time.monotonic() - began_s < END_S
    assert sides.engine.inspect(sides.bridge)["State"]["ExitCode"] == 0
    sides.engine.run("start", sides.bridge)
    await until(lambda: sides.engine.is_healthy(sides.bridge), within_s=LINK_S)
    await recorded_once(sides, sides.cluster.submit("echo after a restart", TAG), "after a restart")


async def test_neither_is_root_nor_writes_outside_its_volume(sides: Sides) -> None:
    for name in (sides.agent, sides.bridge):
        assert sides.engine.run("exec", name, "id", "-u").strip() == "10001"
        assert sides.engine.exit_code("exec", name, "touch", "/opt/orvanta/x") != 0
        assert sides.engine.exit_code("exec", name, "touch", f"{SPOOL}/x") == 0
        seen = sides.engine.inspect(name)
        assert seen["HostConfig"]["ReadonlyRootfs"] is True
        assert seen["Config"]["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert sides.engine.run("exec", sides.bridge, "cat", "/proc/1/comm").strip() == "tini"


async def test_the_services_are_healthy_by_their_own_checks(sides: Sides) -> None:
    await until(lambda: sides.engine.is_healthy(sides.agent), within_s=LINK_S)
    for service in ("broker", "database", "bridge"):
        container = sides.cluster_side.container(service)
        await until(lambda: sides.engine.is_healthy(container), within_s=LINK_S)  # noqa: B023 - awaited at once
