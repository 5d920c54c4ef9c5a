"""The error object reaches whoever submitted the job; the agent goes on with the next one."""

import pytest

from tests.support.world import World

pytestmark = pytest.mark.broker


async def test_an_exception_has_name_message_and_stack(calm: World) -> None:
    code = "def main(x: int):\n    return shelf(x)\n\ndef shelf(x):\n    raise ValueError(f'no shelf {x}')\n"
    record = await calm.cluster.done(calm.cluster.submit(code, "python", "python3", {"x": 7}))
    assert not record["success"]
    error = record["result"]["error"]
    assert (error["name"], error["message"]) == ("ValueError", "no shelf 7")
    assert "shelf" in error["stack"]


async def test_an_exit_code_is_told_with_the_last_lines(calm: World) -> None:
    record = await calm.cluster.done(calm.cluster.submit("echo the till is empty; exit 7", "bash"))
    assert not record["success"]
    error = record["result"]["error"]
    assert error["exit_code"] == 7
    assert "the till is empty" in error["message"]


async def test_a_time_limit_stops_the_job(calm: World) -> None:
    record = await calm.cluster.done(calm.cluster.submit("sleep 60", "bash", timeout=1))
    assert not record["success"]
    assert "timeout" in record["result"]["error"]["message"]
    assert record["duration_ms"] < 10_000


async def test_a_language_that_nobody_runs_is_named_and_waits(calm: World) -> None:
    waits = calm.cluster.submit("DISPLAY 'HI'.", "bash", language="cobol")
    assert (await calm.cluster.done(calm.cluster.submit("echo hi", "bash")))["success"]
    assert calm.cluster.job(waits)["type"] == "QueuedJob"
    assert "no agent of it runs cobol" in calm.cluster.page(f"/run/{waits}")
    calm.cluster.cancel(waits, "nobody will")
    assert not (await calm.cluster.done(waits))["success"]


async def test_a_missing_interpreter_is_named_with_the_setting_that_mends_it(world: World) -> None:
    agent = world.site("python")
    agent.settings["PYTHON_PATH"] = "/nowhere/python3"
    await agent.start()
    record = await world.cluster.done(world.cluster.submit("def main(): pass", "python", "python3"))
    assert not record["success"]
    message = record["result"]["error"]["message"]
    assert "/nowhere/python3" in message
    assert "PYTHON_PATH" in message


async def test_the_next_job_runs_as_if_nothing_had_been(calm: World) -> None:
    record = await calm.cluster.done(calm.cluster.submit("echo fine", "bash"))
    assert record["result"] == "fine"
