"""I1: a published job that was damaged on the way is sent again, and no forgery ends one."""

import hashlib
from pathlib import Path

import msgpack
import pytest
from aio_pika.abc import AbstractIncomingMessage

from agent.compression import decompress
from agent.wire.claims import Tag
from agent.wire.envelope import pack, unseal
from agent.wire.messages import Rejected
from agent.wire.routing import JOBS, UP, job_queue
from tests.support.mail import channel, next_of, put, put_again, signed_by
from tests.support.places import login_of
from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker

FORGERIES = 8


async def taken_out(
    world: World, agent: Agent, trace: Path, tag: str = "bash", **query: str
) -> tuple[str, AbstractIncomingMessage]:
    """A job and its message, which is in no queue any more; the agent is down."""
    agent.stop()
    job = world.cluster.submit(f"echo $ORVANTA_ATTEMPT >> {trace}; echo true", tag, **query)
    async with channel(world) as opened:
        return job, await next_of(opened, job_queue(Tag(tag)))


def outcomes(world: World, job: str) -> list[str | None]:
    return [row["outcome"] for row in world.cluster.attempts(job)]


def forged(message: AbstractIncomingMessage, trace: Path, attempt: int = 1) -> bytes:
    """The same job with other code."""
    body = msgpack.unpackb(unseal(message.body, message.content_encoding, decompress))
    body["m"][0] |= {"code": f"echo forged >> {trace}", "attempt": attempt}
    return msgpack.packb(body)


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("damage", ["signature", "body"])
async def test_it_runs(standing: World, tmp_path: Path, delivery: str, damage: str) -> None:
    world, tag = standing, f"{delivery}-{damage}"
    agent = await world.agent(tag)
    trace = tmp_path / "trace"
    job, message = await taken_out(world, agent, trace, tag, delivery=delivery)
    if damage == "signature":
        await put_again(world, JOBS, message, headers={"kid": "stranger", "sig": "AAAA"})
    else:
        await put_again(world, JOBS, message, body=forged(message, trace), content_encoding=None)
    await agent.start()
    assert (await world.cluster.done(job))["result"] == "true"
    assert trace.read_text().split() == ["2"]
    await until(lambda: outcomes(world, job) == ["lost", "success"])
    agent.stop()


async def test_a_flood_of_forgeries_ends_no_job(world: World, tmp_path: Path) -> None:
    agent = await world.agent("bash")
    trace = tmp_path / "trace"
    job, message = await taken_out(world, agent, trace)
    for attempt in range(1, FORGERIES + 1):
        await put_again(world, JOBS, message, body=forged(message, trace, attempt), content_encoding=None)
    await put_again(world, JOBS, message)
    await agent.start()
    assert (await world.cluster.done(job))["result"] == "true"
    await until(lambda: all(row["state"] == "closed" for row in world.cluster.attempts(job)))
    await until(lambda: not agent.status()["custody"])
    assert "forged" not in trace.read_text()  # I4


async def test_what_can_never_be_proved_ends_with_a_reason(world: World, tmp_path: Path) -> None:
    """A site refuses each attempt with the SHA-256 of our own bytes: it is ours, and cannot be delivered."""
    agent = await world.agent("bash")
    login = login_of(agent)
    job, message = await taken_out(world, agent, tmp_path / "trace")
    for attempt in range(1, 6):
        body = unseal(message.body, message.content_encoding, decompress)
        refused = Rejected(
            reason="BadSignature: the key is unknown", sha256=hashlib.sha256(body).hexdigest(),
            claimed_job_id=job, claimed_attempt=attempt,
        )  # fmt: skip
        said = pack([refused])
        key = f"event.{login.partition('@')[0]}"
        await put(world, UP, key, said, user_id=login, headers=signed_by(agent, said))
        if attempt < 5:
            async with channel(world) as opened:
                message = await next_of(opened, job_queue(Tag("bash")))
    record = await world.cluster.done(job)
    assert record["result"]["error"]["name"] == "Rejected"
    assert "BadSignature" in record["result"]["error"]["message"]
    await until(lambda: outcomes(world, job) == ["lost"] * 5)
