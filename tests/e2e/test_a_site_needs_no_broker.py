"""Bridge and agent with nothing but Python between them: the link is HTTP, and the promises are the same."""

from pathlib import Path

from dev_tools.proxy import Cut
from tests.support.http_cluster import bridge_cluster
from tests.support.until import until
from tests.support.world import World

PYTHON = "def main(n: int, word: str = 'x'):\n    print('working')\n    return word * n"


def gated(folder: Path, then: str) -> tuple[str, Path]:
    """Code that says that it has begun, and goes on once the file is there."""
    gate = folder / "gate"
    begun = folder / "begun"
    return f"touch {begun}; while [ ! -e {gate} ]; do sleep 0.05; done; {then}", gate


async def begun(folder: Path) -> None:
    await until((folder / "begun").exists, within_s=30)


async def test_jobs_make_the_round_trip(brokerless: World) -> None:
    await brokerless.agent("bash", "python", slots=2)
    hello = brokerless.cluster.submit('name="$1"\necho "hello $name"', "bash", args={"name": "süd"})
    large = brokerless.cluster.submit(PYTHON, "python", "python3", {"n": 300_000})
    failing = brokerless.cluster.submit("exit 3", "bash")
    assert (await brokerless.cluster.done(hello))["result"] == "hello süd"
    assert (await brokerless.cluster.done(large))["result"] == "x" * 300_000
    assert (await brokerless.cluster.done(failing))["result"]["error"]["exit_code"] == 3
    await until(lambda: brokerless.cluster.logs(large).count("working\n") == 1)


async def test_the_largest_result_is_taken(brokerless: World) -> None:
    await brokerless.agent("python")
    most = 64 * 1024 * 1024 - 2  # with the quotes as large as a result may be
    job = brokerless.cluster.submit(PYTHON, "python", "python3", {"n": most})
    record = await brokerless.cluster.done(job, within_s=120)
    assert len(record["result"]) == most


async def test_a_link_that_is_cut_stops_no_work(brokerless: World, tmp_path: Path) -> None:
    agent = await brokerless.agent("bash")
    trace = tmp_path / "trace"
    code, gate = gated(tmp_path, f"echo ran >> {trace}; echo done")
    running = brokerless.cluster.submit(code, "bash")
    waiting = brokerless.cluster.submit(f"echo ran >> {trace}; echo then", "bash")
    await begun(tmp_path)
    await until(lambda: sum(agent.status()["custody"].values()) == 2)
    brokerless.cut()
    gate.touch()
    await until(lambda: trace.exists() and trace.read_text().split() == ["ran", "ran"], within_s=30)
    await until(lambda: agent.status()["backlog"] == 2)
    assert agent.status()["link"] == "down"
    brokerless.restore()
    await brokerless.cluster.all_done([running, waiting], within_s=60)
    assert [brokerless.cluster.job(job)["result"] for job in (running, waiting)] == ["done", "then"]
    assert trace.read_text().split() == ["ran", "ran"]


async def test_a_site_that_starts_cut_off_works_on(brokerless: World, tmp_path: Path) -> None:
    agent = await brokerless.agent("bash")
    code, gate = gated(tmp_path, "echo done")
    jobs = [brokerless.cluster.submit(code, "bash") for _ in range(2)]
    await until(lambda: all(brokerless.cluster.job(job)["running"] for job in jobs))
    await until(lambda: sum(agent.status()["custody"].values()) == 2)
    brokerless.cut()
    agent.kill()
    gate.touch()
    agent.launch()
    await until(lambda: agent.status().get("backlog") == 2, within_s=30)
    brokerless.restore()
    await brokerless.cluster.all_done(jobs, within_s=60)
    assert [brokerless.cluster.job(job)["result"] for job in jobs] == ["done", "done"]


async def test_a_killed_bridge_loses_and_repeats_nothing(brokerless: World, tmp_path: Path) -> None:
    await brokerless.agent("bash", slots=2)
    trace = tmp_path / "trace"
    jobs = [brokerless.cluster.submit(f"echo {n} >> {trace}; sleep 0.1; echo {n}", "bash") for n in range(20)]
    for most in (3, 9):
        await until(lambda most=most: len(brokerless.cluster.completed()) >= most, within_s=30)
        brokerless.bridge.kill()
        await brokerless.bridge.start()
    await brokerless.cluster.all_done(jobs, within_s=60)
    assert [brokerless.cluster.job(job)["result"] for job in jobs] == [str(n) for n in range(20)]
    assert sorted(map(int, trace.read_text().split())) == list(range(20))


async def test_a_killed_agent_runs_its_job_again(brokerless: World, tmp_path: Path) -> None:
    agent = await brokerless.agent("bash")
    code, gate = gated(tmp_path, "echo done")
    job = brokerless.cluster.submit(code, "bash")
    await begun(tmp_path)
    agent.kill()
    gate.touch()
    await agent.start()
    assert (await brokerless.cluster.done(job))["result"] == "done"


async def test_at_most_once_is_run_once_or_not_at_all(brokerless: World, tmp_path: Path) -> None:
    agent = await brokerless.agent("bash")
    whole = brokerless.cluster.submit("echo done", "bash", delivery="at_most_once")
    assert (await brokerless.cluster.done(whole))["result"] == "done"
    trace = tmp_path / "trace"
    code, gate = gated(tmp_path, "echo done")
    job = brokerless.cluster.submit(f"echo ran >> {trace}; {code}", "bash", delivery="at_most_once")
    await begun(tmp_path)
    agent.kill()
    gate.touch()
    await agent.start()
    record = await brokerless.cluster.done(job)
    assert record["result"]["error"]["name"] == "Interrupted"
    assert trace.read_text().split() == ["ran"]


async def test_a_cancel_stops_what_runs_and_what_waits(brokerless: World, tmp_path: Path) -> None:
    await brokerless.agent("bash")
    code, _ = gated(tmp_path, "echo done")
    running = brokerless.cluster.submit(code, "bash")
    trace = tmp_path / "trace"
    waiting = brokerless.cluster.submit(f"touch {trace}", "bash")
    await begun(tmp_path)
    await until(lambda: brokerless.cluster.job(waiting)["running"])
    for job in (waiting, running):
        brokerless.cluster.cancel(job, "not wanted")
    for job in (waiting, running):
        record = await brokerless.cluster.done(job)
        assert record["canceled"]
        assert record["canceled_reason"] == "not wanted"
    assert not trace.exists()


async def test_a_job_that_was_ended_at_the_cluster_is_stopped(brokerless: World, tmp_path: Path) -> None:
    agent = await brokerless.agent("bash")
    code, _ = gated(tmp_path, "echo done")
    job = brokerless.cluster.submit(f"trap 'touch {tmp_path}/stopped' EXIT; {code}", "bash")
    await begun(tmp_path)
    brokerless.cluster.post(f"/api/w/main/jobs_u/queue/force_cancel/{job}", {"reason": "now"})
    await until((tmp_path / "stopped").exists, within_s=30)
    await until(lambda: agent.status()["custody"] == {}, within_s=30)
    assert brokerless.cluster.job(job)["canceled_reason"] == "now"


async def test_the_log_arrives_once_and_in_order_over_a_link_that_keeps_failing(
    brokerless: World, tmp_path: Path
) -> None:
    agent = await brokerless.agent("bash")
    gate = tmp_path / "gate"
    counting = f"n=0; while [ ! -e {gate} ]; do echo line $n; n=$((n+1)); sleep 0.02; done; echo $n"
    job = brokerless.cluster.submit(counting, "bash")
    for _ in range(4):
        before = agent.links("up")
        seen = len(brokerless.cluster.logs(job))
        await until(lambda seen=seen: len(brokerless.cluster.logs(job)) > seen, within_s=30)
        brokerless.http_link.cut(Cut.DOWN)  # requests arrive, and their answers do not
        up_bytes = brokerless.http_link.up_bytes
        await until(lambda up_bytes=up_bytes: brokerless.http_link.up_bytes > up_bytes, within_s=60)
        brokerless.http_link.cut()
        brokerless.http_link.restore()
        await agent.linked(before + 1)
    gate.touch()
    lines = int((await brokerless.cluster.done(job, within_s=60))["result"])
    text = "".join(f"line {n}\n" for n in range(lines)) + f"{lines}\n"
    await until(lambda: brokerless.cluster.logs(job).endswith(f"\n{lines}\n"), within_s=60)
    assert brokerless.cluster.logs(job).partition("\n")[2] == text


async def test_a_job_that_a_lost_answer_brought_is_not_stranded(tmp_path: Path) -> None:
    """The agent asks again for what it may have got."""
    async with bridge_cluster(tmp_path) as cluster:
        agent = await cluster.agent("bash")
        await until(lambda: cluster.count("pull_job") == 1)
        cluster.link.cut(Cut.DOWN)
        job = await cluster.running.preview(f"echo ran >> {tmp_path}/trace; echo done")
        await until(lambda: cluster.is_running(job))
        cluster.link.cut()
        cluster.link.restore()
        await agent.linked(2)
        assert await until(lambda: cluster.result(job), within_s=60) == "done"
        assert (tmp_path / "trace").read_text() == "ran\n"


async def test_a_token_without_the_tag_gets_nothing(brokerless: World) -> None:
    await brokerless.agent("bash")
    theirs = brokerless.cluster.submit("echo hi", "theirs")
    ours = brokerless.cluster.submit("echo hi", "bash")
    await brokerless.cluster.done(ours)
    assert not brokerless.cluster.job(theirs)["running"]


async def test_a_drained_agent_holds_nothing(brokerless: World) -> None:
    agent = await brokerless.agent("bash")
    await brokerless.cluster.done(brokerless.cluster.submit("echo hi", "bash"))
    await until(lambda: agent.status()["custody"] == {})
    assert agent.stop() == 0
    listed = {one["worker"][:3]: one["custom_tags"] for one in brokerless.cluster.read("/api/workers/list")}
    assert listed == {"ag-": ["bash"], "wk-": ["dependency", "flow"]}
