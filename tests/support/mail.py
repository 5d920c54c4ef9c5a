"""A stranger's hands in the broker: what stands in a queue is taken out, changed, put in again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from agent.compression import compress
from agent.trust import SigningKey
from agent.wire.envelope import seal
from agent.wire.routing import UP
from tests.support.until import until
from tests.support.world import Agent, World

WAIT_S = 10


@asynccontextmanager
async def channel(world: World) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(world.amqp_url)
    async with connection:
        yield await connection.channel()


async def put(world: World, exchange: str, key: str, body: bytes, **about: object) -> None:
    """What goes up says that the agent of its routing key has sent it, unless it says something else."""
    if exchange == UP:
        about = {"user_id": f"{key.partition('.')[2]}@test"} | about
    async with channel(world) as opened:
        target = await opened.get_exchange(exchange, ensure=False)
        await target.publish(aio_pika.Message(body, **about), key)  # type: ignore[arg-type]  # keywords of Message


def signed_by(agent: Agent, body: bytes) -> dict[str, str]:
    """The headers of what the agent's own device sends."""
    key = SigningKey(bytes.fromhex((agent.spool / "device.key").read_text().strip()))
    return dict(seal(body, compress, key.sign).headers)


async def put_again(world: World, exchange: str, message: AbstractIncomingMessage, **changed: object) -> None:
    """As it was, but for what is `changed` (body, headers)."""
    as_it_was = {
        "body": message.body, "headers": message.headers, "content_encoding": message.content_encoding,
        "user_id": message.user_id,
    }  # fmt: skip
    await put(world, exchange, message.routing_key or "", **(as_it_was | changed))


async def next_of(opened: AbstractChannel, queue_name: str) -> AbstractIncomingMessage:
    """The next message, taken out."""
    await opened.set_qos(prefetch_count=1)
    queue = await opened.get_queue(queue_name, ensure=False)
    async with queue.iterator(timeout=WAIT_S) as messages:
        found = await anext(messages)
        await found.ack()
        return found


async def next_letter(world: World) -> dict[str, Any]:
    """The oldest of the bridge's dead letters, taken out."""

    def oldest() -> dict[str, Any] | None:
        letters: list[dict[str, Any]] = world.cluster.read("/api/dead")["letters"]
        return letters[-1] if letters else None

    found = await until(oldest, within_s=WAIT_S)
    assert found is not None
    world.cluster.post(f"/api/dead/{found['id']}/discard", None)
    return found


async def waiting_in(world: World, queue_name: str) -> int:
    """Messages that nobody has in hand."""
    async with channel(world) as opened:
        queue = await opened.declare_queue(queue_name, passive=True)
        return queue.declaration_result.message_count or 0
