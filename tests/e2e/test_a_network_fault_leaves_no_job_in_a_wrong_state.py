"""bk-ci's issue 1328: five ways in which a network fault left a build in a state that was not true.

1. the build machine's "I have started" is lost, so the job is shown as preparing until it times out;
2. a step has ended, its report is lost, and the report of that too: it is shown as running for ever;
3. the machine's claim of its next step is lost: the step is never run and the job hangs until it times out;
4. all has succeeded, its report is lost, the network is back at once, the agent reports a failure;
5. all has ended, the machine's own goodbye is lost, and the job is shown as running until it times out.

In ours each report is on disk before it is sent and is sent until it is confirmed; no silence is an end.
"""

from pathlib import Path

import pytest

from dev_tools.proxy import Cut
from tests.support.until import until
from tests.support.world import RECONNECT_S, Agent, World

pytestmark = pytest.mark.broker

WAIT = "until [ -e {gate} ]; do sleep 0.05; done; echo {word} >> {trace}; echo {word}"


class Build:
    """Steps on one build machine. Each waits for its gate, leaves its word in a trace and ends with it."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self._trace = folder / "trace"

    def step(self, word: str) -> str:
        gate = self._folder / f"gate-{word}"
        return self._world.cluster.submit(WAIT.format(gate=gate, word=word, trace=self._trace), "bash")

    def let_end(self, *words: str) -> None:
        for word in words:
            (self._folder / f"gate-{word}").touch()

    def ended(self) -> list[str]:
        return self._trace.read_text().split() if self._trace.exists() else []

    async def succeeded(self, job: str, word: str) -> None:
        record = await self._world.cluster.done(job, within_s=RECONNECT_S)
        assert (record["success"], record["result"]) == (True, word)
        await until(lambda: [row["outcome"] for row in self._world.cluster.attempts(job)] == ["success"])
        assert self.ended().count(word) == 1


@pytest.fixture
def build(world: World, tmp_path: Path) -> Build:
    return Build(world, tmp_path)


async def backlog(agent: Agent, size: int) -> None:
    await until(lambda: agent.status()["backlog"] == size, within_s=30)


async def test_1_a_start_that_could_not_be_reported_is_reported_later(world: World, build: Build) -> None:
    agent = await world.agent("bash")
    first, second = build.step("first"), build.step("second")
    await world.cluster.accepted(second)
    world.cut()
    build.let_end("first")
    await until(lambda: agent.status()["custody"] == {"finished": 1, "started": 1}, within_s=30)
    assert [row["started_at"] for row in world.cluster.attempts(second)] == [None]
    assert world.cluster.job(second)["type"] == "QueuedJob"
    world.restore()
    await world.cluster.running(second)
    build.let_end("second")
    await build.succeeded(first, "first")
    await build.succeeded(second, "second")


async def test_2_an_end_that_could_not_be_reported_is_no_job_that_runs_for_ever(
    world: World, build: Build
) -> None:
    agent = await world.agent("bash")
    job = build.step("only")
    await world.cluster.running(job)
    world.cut()
    build.let_end("only")
    await backlog(agent, 1)
    world.http_link.restore()  # the second way to the cluster is back, and a report fails once more
    await until(lambda: len(agent.events("link.retry")) > 1, within_s=30)
    assert world.cluster.job(job)["type"] == "QueuedJob"
    world.restore()
    await build.succeeded(job, "only")


async def test_3_the_next_job_needs_no_claim_and_the_one_after_it_is_claimed_later(
    world: World, build: Build
) -> None:
    agent = await world.agent("bash")
    first, next_one = build.step("first"), build.step("next")
    await world.cluster.accepted(next_one)
    world.cut()
    later = build.step("later")
    build.let_end("first", "next", "later")
    await backlog(agent, 2)
    assert build.ended() == ["first", "next"]
    world.restore()
    for job, word in ((first, "first"), (next_one, "next"), (later, "later")):
        await build.succeeded(job, word)


async def test_4_a_report_lost_on_its_way_is_sent_again_and_is_no_failure(world: World, build: Build) -> None:
    agent = await world.agent("bash", slots=2)
    words = ("a", "b")
    jobs = [build.step(word) for word in words]
    for job in jobs:
        await world.cluster.running(job)
    world.amqp_link.cut(Cut.STALL)  # the reports leave the agent and never arrive
    build.let_end(*words)
    await backlog(agent, 2)
    world.amqp_link.cut(Cut.REFUSE)
    world.amqp_link.restore()  # at once
    for job, word in zip(jobs, words, strict=True):
        await build.succeeded(job, word)


async def test_5_an_agent_that_could_not_say_goodbye_leaves_no_job_behind(world: World, build: Build) -> None:
    agent = await world.agent("bash")
    job = build.step("only")
    await world.cluster.running(job)
    world.cut()
    build.let_end("only")
    await backlog(agent, 1)
    assert agent.stop() == 0
    assert world.cluster.job(job)["type"] == "QueuedJob"
    world.restore()
    await agent.start()
    await build.succeeded(job, "only")
    await until(lambda: not agent.status()["custody"], within_s=30)
