"""The broker that tests and demo stand on: same address and same messages over `kill -9` and restart."""

import asyncio

import aio_pika
import pytest

from dev_tools.brokers.broker import Broker
from tests.support.until import until

pytestmark = pytest.mark.on_each_release


async def put(url: str, queue: str, text: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()  # with confirms
        # A quorum queue declared less than half a second before the kill never elects a leader again
        # (seen on 3.10 and 4.0): its name is written to disk later than its messages.
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "classic"})
        message = aio_pika.Message(text, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue)


async def get(url: str, queue: str) -> bytes | None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.get_queue(queue)
        message = await declared.get(fail=False)
        return message.body if message else None


async def test_a_confirmed_message_is_there_after_a_restart(broker: Broker, amqp_url: str) -> None:
    # Not after SIGKILL: RabbitMQ 3.10 may forget a queue declared a moment before in a new virtual host.
    # What the product makes of a killed broker is tested in tests/crash.
    if not broker.is_ours:
        pytest.skip("this RabbitMQ is not ours to stop")
    await put(amqp_url, "kept", b"held")
    await asyncio.to_thread(broker.restart)
    assert await until(lambda: get(amqp_url, "kept")) == b"held"


async def test_each_test_has_the_broker_to_itself(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await channel.get_queue("kept")
