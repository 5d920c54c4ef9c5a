"""I4, on one running bridge: what a site must not run it refuses, and what it did not say the bridge refuses.

Then the token and the signing key are rotated, with jobs in custody, and nobody visits the site.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aio_pika.abc import AbstractIncomingMessage

from agent.trust import SigningKey
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Accepted, Job, Receipt, Result
from agent.wire.routing import CONTROL, JOBS, UP, control_queue, job_queue, up_key
from bridge.relay.signer import Signer
from dev_tools.places import ROOT
from tests.support.mail import channel, next_letter, next_of, put, put_again
from tests.support.until import until
from tests.support.world import Agent, World, environment

pytestmark = pytest.mark.broker


def forged(trace: Path, tag: str = "bash") -> bytes:
    job = Job(
        job_id=JobId("00000000-0000-0000-0000-000000000001"), attempt=Attempt(1), workspace="main",
        tag=Tag(tag), language="bash", code=f"echo forged >> {trace}", args=b"{}",
    )  # fmt: skip
    return pack([job])


async def dead_letter(world: World) -> str:
    """The reason of the next one."""
    return str((await next_letter(world))["reason"])


async def taken_out(
    world: World, agent: Agent, code: str, **query: str
) -> tuple[str, AbstractIncomingMessage]:
    """A job and its message, which is in no queue any more; the agent is down."""
    agent.stop()
    job = world.cluster.submit(code, "bash", **query)
    async with channel(world) as opened:
        return job, await next_of(opened, job_queue(Tag("bash")))


def waits_for(file: Path) -> str:
    return f"until [ -e {file} ]; do sleep 0.1; done"


def soon(in_s: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=in_s)).isoformat()


def worker_of(agent: Agent) -> str:
    return str(agent.status()["worker"])


def keys(world: World, *words: str) -> Any:
    """`python -m bridge keys`, beside the running bridge."""
    command = [sys.executable, "-m", "bridge", "keys", *words]
    ended = subprocess.run(
        command, env=environment(world.bridge.settings), cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(ended.stdout)


async def test_what_is_not_proved_is_refused_and_reported(world: World, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    agent = await world.agent("bash", slots=2, ahead=5)
    worker = worker_of(agent)
    stranger = SigningKey.made()

    # Jobs: unsigned, signed by a stranger, of a tag that the token does not hold.
    await put(world, JOBS, "main.bash", forged(trace))
    assert "BadSignature: the job carries no signature" in await dead_letter(world)
    kid, _ = stranger.sign(b"")
    await put(world, JOBS, "main.bash", forged(trace), headers={"kid": kid, "sig": "AAAA"})
    assert kid in await dead_letter(world)
    introduced = stranger.introduce(stranger).text()
    await put(
        world, JOBS, "main.bash", forged(trace), headers={"kid": kid, "sig": "AAAA", "introduced": introduced}
    )
    assert (await dead_letter(world)).startswith("BadSignature")

    # Replayed: the bridge's own message, after its job is over.
    job, message = await taken_out(world, agent, f"echo once >> {trace}")
    await put_again(world, JOBS, message)
    await agent.start()
    await world.cluster.done(job)
    await until(lambda: not agent.status()["custody"])
    await put_again(world, JOBS, message)
    assert (await dead_letter(world)) == f"Replayed: attempt 1 of job {job} was here before, and is over"

    # Expired at the site, while it is cut off.
    busy, beside = (world.cluster.submit(waits_for(tmp_path / name), "bash") for name in ("go", "beside"))
    await world.cluster.running(busy)
    await world.cluster.running(beside)
    late = world.cluster.submit(f"echo late >> {trace}", "bash", not_after=soon(4))
    await world.cluster.accepted(late)
    world.cut()
    await until(lambda: agent.status()["backlog"] == 1)
    world.restore()
    (tmp_path / "beside").touch()
    assert (await dead_letter(world)).startswith("Expired: its not_after passed")
    assert (await world.cluster.done(late))["result"]["error"]["name"] == "Expired"

    # Reports in the name of this worker: unsigned, and signed by a stranger.
    held = JobId(busy)
    result = Result(job_id=held, attempt=Attempt(1), workspace="main", success=True, document=b"1")
    await put(world, UP, up_key("result", worker), pack([result]))
    assert "the message carries no signature" in await dead_letter(world)
    await put(world, UP, up_key("event", worker), pack([Accepted(job_id=held, attempt=Attempt(1))]))
    assert "the message carries no signature" in await dead_letter(world)
    assert world.cluster.job(busy)["type"] == "QueuedJob"

    # The token on another device.
    copy = world.site("bash", token=agent.settings["AGENT_TOKEN"])
    copy.launch()
    await until(lambda: copy.events("device.refused"))
    assert "belongs to another device" in copy.events("device.refused")[0]["reason"]
    assert world.cluster.is_refused(agent.settings["AGENT_TOKEN"])
    copy.stop()

    await _rotations(world, agent, tmp_path, busy)
    assert trace.read_text().split() == ["once"]


async def test_a_forged_receipt_costs_no_result(world: World, tmp_path: Path) -> None:
    """I1: the result is in the broker's hands, nobody has recorded it, and the broker says that it is."""
    agent = await world.agent("bash")
    job = world.cluster.submit(f"{waits_for(tmp_path / 'go')}; echo kept", "bash")
    await world.cluster.running(job)
    world.bridge.kill()
    (tmp_path / "go").touch()
    await until(lambda: agent.status()["custody"] == {"sent": 1})
    receipt = pack([Receipt(job_id=JobId(job), attempt=Attempt(1))])
    worker = WorkerName(worker_of(agent))
    stranger = Signer({"k": SigningKey.made().raw})
    for headers in ({}, dict(stranger.seal_for(worker, receipt).headers)):
        await put(world, CONTROL, control_queue(worker), receipt, headers=headers)
    await until(lambda: len(agent.events("control.refused")) == 2)
    assert agent.status()["custody"] == {"sent": 1}
    await world.bridge.start()
    assert "the message carries no signature" in await dead_letter(world)
    assert (await world.cluster.done(job))["result"] == "kept"
    await until(lambda: not agent.status()["custody"])  # the true one
    assert world.cluster.read("/api/dead")["letters"] == []  # each kind is reported once


async def _rotations(world: World, agent: Agent, folder: Path, busy: str) -> None:
    """The job `busy` runs from before the rotations until after them."""
    worker, lives = worker_of(agent), agent.links("up")
    asked = {"token": agent.settings["AGENT_TOKEN"], "exp": 2_000_000_000, "tags": ["bash", "more"]}
    new = json.loads(world.cluster.post("/api/agent_workers/rotate_token", asked))
    await agent.linked(lives + 1)
    await until(lambda: world.cluster.is_refused(agent.settings["AGENT_TOKEN"]))
    assert agent.events("token.renewed")
    assert (await world.cluster.done(world.cluster.submit("echo more", "more")))["type"]
    assert worker_of(agent) == worker

    (first,) = [one["kid"] for one in keys(world, "list")]
    second = keys(world, "rotate")["kid"]
    await until(lambda: world.bridge.events("keys.changed"))
    assert world.cluster.job(busy)["type"] == "QueuedJob"
    (folder / "go").touch()
    assert (await world.cluster.done(busy))["success"]
    assert (await world.cluster.done(world.cluster.submit("echo new", "bash")))["result"] == "new"
    lives = agent.links("up")
    keys(world, "retire", first)
    await agent.linked(lives + 1)
    await until(lambda: second in _pinned(agent) and first not in _pinned(agent))
    assert (await world.cluster.done(world.cluster.submit("echo on", "bash")))["result"] == "on"
    assert new not in agent.log.read_text()
    agent.stop()
    await agent.start()  # with the settings of old
    assert (await world.cluster.done(world.cluster.submit("echo again", "more")))["result"] == "again"


def _pinned(agent: Agent) -> list[str]:
    return list(json.loads((agent.spool / "bridge.keys").read_text())["keys"])
