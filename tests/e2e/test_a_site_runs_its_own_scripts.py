"""INIT_SCRIPT before the first job, a periodic script beside them; the cluster hears of both in the end."""

from pathlib import Path
from typing import Any

from tests.support.until import until
from tests.support.world import World


def own_jobs(world: World, path: str) -> list[dict[str, Any]]:
    """Of the workers themselves, as an admin sees them."""
    listed = world.cluster.read("/api/w/admins/jobs/completed/list")
    return [job for job in listed if job["script_path"].startswith(path)]


async def test_before_its_first_job_and_without_a_link(brokerless: World, tmp_path: Path) -> None:
    agent = brokerless.site("bash")
    made = tmp_path / "made"
    agent.settings |= {
        "INIT_SCRIPT": f"#!/bin/bash\nenv | grep -c ^WM_TOKEN=. || true\nsleep 0.3; touch {made}; echo ready",
        "PERIODIC_BASH_SCRIPT": "#!/usr/bin/env python3\nprint('looked after')",
        "PERIODIC_BASH_SCRIPT_INTERVAL_SECONDS": "3600",
    }
    job = brokerless.cluster.submit(f"[ -e {made} ] && echo prepared", "bash")
    brokerless.cut()
    agent.launch()
    await until(lambda: len(agent.events("script.ended")) == 2, within_s=30)
    assert [event["line"] for event in agent.events("script.says")] == ["0", "ready", "looked after"]
    brokerless.restore()
    assert (await brokerless.cluster.done(job, within_s=60))["result"] == "prepared"
    (init,) = await until(lambda: own_jobs(brokerless, "init_script_"), within_s=60)
    assert init["success"]
    assert brokerless.cluster.logs(init["id"], "admins") == "0\nready\n"
    await until(lambda: own_jobs(brokerless, "periodic_script_"), within_s=60)


async def test_one_that_fails_ends_the_agent_with_a_clear_word(brokerless: World) -> None:
    agent = brokerless.site("bash")
    agent.settings["INIT_SCRIPT"] = "echo no scale on ttyUSB0; exit 3"
    agent.launch()
    await until(lambda: not agent.process.is_running(), within_s=30)
    assert agent.stop() == 1
    said = agent.log.read_text()
    assert "INIT_SCRIPT ended with exit code 3, so the agent does not start" in said
    assert not agent.events("agent.started")
