"""The PyPI client `wmill` in a job at the edge, set up by nothing but the job's environment."""

import sys

import pytest

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

INSIDE = """
import os, wmill

def main(path: str, key: str, db: dict):
    client = wmill.Windmill()
    before = wmill.get_state()
    wmill.set_state({"runs": (before or {"runs": 0})["runs"] + 1})
    client.set_variable("f/inside/out", "by " + os.environ["WM_JOB_ID"])
    client.set_progress(42)
    try:
        client.create_token()
        made = "a token"
    except Exception as error:
        made = str(error).split(": ", 1)[1][:3]
    return {
        "given": [key, db],
        "variable": wmill.get_variable("f/inside/key"),
        "resource": wmill.get_resource("f/inside/db"),
        "child": wmill.run_script_by_path(path, args={"a": 20}, timeout=60),
        "progress": client.get_progress(),
        "state": wmill.get_state(),
        "shop": os.environ.get("SHOP"),
        "who": client.whoami()["username"],
        "superadmin": client.whoami()["super_admin"],
        "made": made,
        "version": client.version[:7],
        "status": client.get_job_status(os.environ["WM_JOB_ID"]),
    }
"""
COUNTS = """
import time, wmill

def main(waits: bool):
    if waits:
        wmill.set_progress(42)
        time.sleep(1)
    before = wmill.get_state() or 0
    wmill.set_state(before + 1)
    return [before, wmill.get_variable("f/inside/marked")]
"""
MISSES = "import wmill\ndef main():\n    return wmill.get_variable('f/inside/unmarked')\n"
ADD = "def main(a: int, b: int = 1):\n    return {'sum': a + b}\n"


async def test_it_reaches_its_workspace_from_the_edge(world: World) -> None:
    agent = world.site("inside", "child", slots=2)
    agent.settings["PYTHON_PATH"] = sys.executable  # the interpreter that has the client installed
    await agent.start()
    cluster = world.cluster
    child = {"path": "u/admin/add", "content": ADD, "language": "python3", "tag": "child"}
    cluster.post("/api/w/main/scripts/create", child)
    secret = {"path": "f/inside/key", "value": "s3cr3t", "is_secret": True}
    cluster.post("/api/w/main/variables/create", secret)
    resource = {"path": "f/inside/db", "value": {"key": "$var:f/inside/key"}, "resource_type": "db"}
    cluster.post("/api/w/main/resources/create", resource)
    script = {"path": "u/admin/inside", "content": INSIDE, "language": "python3", "tag": "inside"}
    script["lock"] = "# py: 3.11"  # the interpreter has the client already
    cluster.post("/api/w/main/scripts/create", script)
    environment = {"name": "SHOP", "value": "Suva"}
    cluster.post("/api/w/main/workspaces/set_environment_variable", environment)
    args = {"path": "u/admin/add", "key": "$var:f/inside/key", "db": "$res:f/inside/db"}
    for run in (1, 2):
        job = cluster.post("/api/w/main/jobs/run/p/u/admin/inside", args)
        record = await cluster.done(job, within_s=90)
        assert record["result"] == {
            "given": ["s3cr3t", {"key": "s3cr3t"}],
            "variable": "s3cr3t",
            "resource": {"key": "s3cr3t"},
            "child": {"sum": 21},
            "progress": 42,
            "state": {"runs": run},
            "shop": "Suva",
            "who": "admin",
            "superadmin": False,
            "made": "403",  # a job makes no token that outlives it
            "version": "Orvanta",
            "status": "RUNNING",
        }
        assert record["args"] == args
        assert cluster.read("/api/w/main/variables/get_value/f/inside/out") == f"by {job}"
    state = cluster.read("/api/w/main/resources/get/u/admin/inside/user")
    assert (state["resource_type"], state["value"]) == ("state", {"runs": 2})


async def test_an_argument_that_names_what_is_not_there_fails_the_job(world: World) -> None:
    await world.agent("bash")
    job = world.cluster.submit("echo never", "bash", args={"key": "$var:f/none/key"})
    record = await world.cluster.done(job)
    assert record["success"] is False
    assert record["result"]["error"]["name"] == "NotFound"
    assert "argument `key`: Variable f/none/key not found" in record["result"]["error"]["message"]


async def test_an_argument_is_resolved_for_a_site_that_is_cut_off(world: World) -> None:
    agent = await world.agent("bash")
    variable = {"path": "f/shop/name", "value": "Suva", "is_secret": True}
    world.cluster.post("/api/w/main/variables/create", variable)
    first = world.cluster.submit('name="$1"\nread -r -t 5 < <(tail -f /dev/null)\necho "$name"', "bash")
    job = world.cluster.submit('name="$1"\necho "$name"', "bash", args={"name": "$var:f/shop/name"})
    await world.cluster.accepted(job)
    world.cut()
    await world.cluster.running(first)
    world.restore()
    assert (await world.cluster.done(job, within_s=90))["result"] == "Suva"
    assert agent.process.is_running()


async def test_it_keeps_its_state_and_finds_its_variables_while_cut_off(world: World) -> None:
    agent = world.site("offline", ahead=10)
    agent.settings["PYTHON_PATH"] = sys.executable
    await agent.start()
    cluster = world.cluster
    for name, is_marked in (("marked", True), ("unmarked", False)):
        variable = {"path": f"f/inside/{name}", "value": "k3y", "is_secret": True, "offline": is_marked}
        cluster.post("/api/w/main/variables/create", variable)
    script = {"path": "u/admin/counts", "content": COUNTS, "language": "python3", "tag": "offline"}
    script["lock"] = "# py: 3.11"
    cluster.post("/api/w/main/scripts/create", script)
    first = cluster.post("/api/w/main/jobs/run/p/u/admin/counts", {"waits": True})
    await cluster.running(first)
    rest = [cluster.post("/api/w/main/jobs/run/p/u/admin/counts", {"waits": False}) for _ in range(2)]
    missing = cluster.submit(MISSES, "offline", language="python3")
    for job in (*rest, missing):
        await cluster.accepted(job)
    progress = f"/api/w/main/job_metrics/get_progress/{first}"
    await until(lambda: cluster.read(progress) == 42)
    world.cut()
    await until(lambda: agent.status()["backlog"] >= 3, within_s=60)
    world.restore()
    records = [await cluster.done(job, within_s=90) for job in (first, *rest)]
    assert [record["result"] for record in records] == [[0, "k3y"], [1, "k3y"], [2, "k3y"]]
    failed = await cluster.done(missing, within_s=90)
    assert "variable f/inside/unmarked is not at this site: it is not marked" in str(failed["result"])
    assert "k3y" not in str(failed)
    state = cluster.read("/api/w/main/resources/get/u/admin/counts/user")
    assert (state["resource_type"], state["value"]) == ("state", 3)
