"""`python -m bridge relay` between a real agent and a strict cluster that knows nothing of us."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster
from tests.support.until import until
from tests.support.world import Agent, Bridge

pytestmark = pytest.mark.broker

ZOMBIE_S = 15.0  # pings come every 10 s; the real one has 60
DONE_S = 90.0
PYTHON = "def main(n: int):\n    print('working')\n    return 'x' * n"


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with fake_cluster() as cluster:
        yield cluster


@pytest.fixture
def relay(fake: FakeCluster, amqp_url: str, tmp_path: Path) -> Iterator[Bridge]:
    """One lane for bash, one for python."""
    tokens = [fake.api.token("bash", group="east"), fake.api.token("python", group="west")]
    settings = {"AGENT_TOKEN": ", ".join(tokens), "BASE_INTERNAL_URL": fake.url}
    bridge = Bridge(tmp_path / "relay", "relay", amqp_url, settings)
    yield bridge
    bridge.close()


@pytest.fixture
async def site(fake: FakeCluster, relay: Bridge, tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent for both, its link up."""
    token = fake.api.token("bash", "python", group="site")
    settings = {"MODE": "agent", "AGENT_TOKEN": token, "BASE_INTERNAL_URL": relay.url}
    agent = Agent(tmp_path / "site", settings, ["--slots", "2"])
    await relay.start()
    await agent.start()
    yield agent
    agent.close()


def push(fake: FakeCluster, code: str, tag: str = "bash", **job: object) -> FakeJob:
    made = FakeJob(code=code, tag=tag, **job)
    fake.api.jobs.push(made)
    return made


async def test_jobs_of_every_lane_make_the_round_trip(fake: FakeCluster, site: Agent) -> None:
    fake.api.variables["f/shop/name"] = "süd"
    code = 'name="$1"\necho "hello $name, ask $WM_BASE_URL"'
    hello = push(fake, code, args={"name": "$var:f/shop/name"})
    large = push(fake, PYTHON, "python", language="python3", args={"n": 300_000})
    failing = push(fake, "exit 3")
    await until(lambda: all(job.completions for job in (hello, large, failing)), within_s=DONE_S)
    assert (hello.result, large.result) == (f"hello süd, ask {fake.url}", "x" * 300_000)
    assert failing.result["error"]["exit_code"] == 3
    await until(lambda: large.logs.count("working\n") == 1)
    assert {name.rpartition("-")[0].rpartition("-")[0] for name in fake.api.workers} == {"ag-east", "ag-west"}
    assert fake.refused == []


async def test_a_cancel_is_passed_on(fake: FakeCluster, site: Agent) -> None:
    job = push(fake, "echo begun; sleep 300")
    await until(lambda: "begun" in job.logs, within_s=DONE_S)
    fake.api.jobs.cancel(job.job_id, "not wanted")
    await until(lambda: job.is_canceled, within_s=DONE_S)
    assert fake.refused == []


async def test_a_job_that_cannot_be_read_holds_up_no_other(
    fake: FakeCluster, relay: Bridge, site: Agent
) -> None:
    garbled = FakeJob(code="echo hi", tag="bash", state="running")
    told = garbled.as_pulled()
    told["job"]["not_after"] = "tomorrow"
    fake.api.jobs.push(garbled)
    fake.say("pull_job", json.dumps(told).encode())
    fake.say("pull_job", b'{"job": ' * 100_000 + b"1" + b"}" * 100_000)
    await until(lambda: garbled.completions, within_s=DONE_S)
    assert garbled.result["error"]["name"] == "Malformed"
    job = push(fake, "echo on")
    await until(lambda: job.completions, within_s=DONE_S)
    assert job.result == "on"
    assert relay.process.is_running()


async def test_whatever_goes_wrong_each_job_runs_once_and_is_recorded(
    fake: FakeCluster, relay: Bridge, site: Agent, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    jobs = [push(fake, f"echo {n} >> {trace}; sleep 0.1; echo line {n}; echo {n}") for n in range(20)]

    def recorded() -> int:
        fake.api.jobs.sweep_silent(ZOMBIE_S)  # as the cluster does all the time
        return sum(bool(job.completions) for job in jobs)

    for trouble in (Trouble.RESET_AFTER, Trouble.TRUNCATED, Trouble.DROPPED_AT_THE_GATE):
        for call in ("pull_job", "send_result", "push_logs", "ping_job_status"):
            fake.misbehave(call, trouble)
    fake.refuse("send_result", 429, times=2, retry_after="1")
    fake.refuse("pull_job", 503, retry_after="1")
    await until(lambda: recorded() >= 5, within_s=DONE_S)
    relay.kill()
    await relay.start()
    await until(lambda: recorded() == len(jobs), within_s=DONE_S)
    for number, job in enumerate(jobs):
        assert {completion["result"] for completion in job.completions} == {str(number)}
        assert job.logs.count(f"line {number}\n") <= 1
    assert sorted(map(int, trace.read_text().split())) == list(range(20))
    assert fake.refused == []
