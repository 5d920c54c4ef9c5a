"""Arguments that are no JSON object: the job ends with an error that says so, and the agent goes on."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import aio_pika
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.compression import compress, decompress
from agent.wire.claims import Tag
from agent.wire.envelope import pack, seal, unpack, unseal
from agent.wire.messages import Job
from agent.wire.routing import JOBS, job_key, job_queue
from tests.support.world import World

pytestmark = pytest.mark.broker

ODD = list(product(("bash", "python3"), (b"\xff\xfe", b'{"half": ', b"[1, 2]")))


def signing_key(store: Path) -> tuple[str, Ed25519PrivateKey]:
    """The bridge's own, as only somebody on its machine can read it."""
    with closing(sqlite3.connect(store)) as opened:
        kid, raw = opened.execute("SELECT kid, private FROM signing_key").fetchone()
    return kid, Ed25519PrivateKey.from_private_bytes(raw)


async def put_in_place_of(world: World, tag: Tag, args: bytes) -> None:
    """Send the one job that waits for `tag` again with these arguments, signed by the bridge's key."""
    kid, private = signing_key(Path(world.bridge.settings["BRIDGE_STORE"]))
    connection = await aio_pika.connect(world.amqp_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(job_queue(tag), ensure=False)
        async with queue.iterator(timeout=10) as messages:
            taken = await anext(messages)
            await taken.ack()
        (job,) = unpack(unseal(taken.body, taken.content_encoding, decompress))
        assert isinstance(job, Job)
        changed = pack([replace(job, args=args)])
        envelope = seal(changed, compress, lambda body: (kid, private.sign(body)))
        exchange = await channel.get_exchange(JOBS, ensure=False)
        message = aio_pika.Message(
            envelope.body, headers=dict(envelope.headers), content_encoding=envelope.content_encoding
        )
        await exchange.publish(message, job_key("main", tag))


async def test_each_fails_with_the_reason(world: World) -> None:
    tags = [f"odd-{number}" for number in range(len(ODD))]
    agent = await world.agent("bash", *tags, slots=2)
    agent.stop()  # so that the jobs wait at the broker
    jobs = []
    for tag, (language, args) in zip(tags, ODD, strict=True):
        code = "echo $1" if language == "bash" else "def main(): pass"
        jobs.append(world.cluster.submit(code, tag, language))
        await put_in_place_of(world, Tag(tag), args)
    agent.launch()
    for job in jobs:
        record = await world.cluster.done(job, within_s=60)
        assert record["success"] is False
        assert "JSON object" in record["result"]["error"]["message"]
    healthy = await world.cluster.done(world.cluster.submit("echo on", "bash"))
    assert healthy["result"] == "on"
