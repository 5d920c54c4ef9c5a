"""One prepared spool through the agent's own reporter and link, and single publishes beside it."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Final

import aio_pika

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.inquiry import Inquiry
from agent.jobs.reporter import Reporter
from agent.jobs.wishes import Wishes
from agent.link.amqp import connect
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.spool.spool import Spool
from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import CONTENT_TYPE, pack
from agent.wire.messages import Result
from agent.wire.routing import UP, up_key
from bench.support import spools
from bridge.broker import channel
from bridge.broker.topology import Topology

WORKER: Final = WorkerName("ag-bench-drain")
IN_FLIGHT: Final = 50


class _Drained(Exception):
    """The last result has been confirmed and noted."""


async def declare(amqp_url: str) -> None:
    """The exchanges and queues as the bridge declares them."""
    async with channel.connect(amqp_url, Topology(), _nothing_gone) as broker:
        await broker.ensure_agent(WORKER)


async def _nothing_gone(_tag: Tag) -> None:
    """No tag is used here."""


async def empty_queues(amqp_url: str, names: Iterable[str]) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        opened = await connection.channel()
        for name in names:
            await (await opened.get_queue(name, ensure=False)).purge()


async def drain(folder: Path, amqp_url: str) -> float:
    """Results a second from a spool on disk to the broker's confirms, each noted as sent."""
    spool = await Spool.open(folder, SystemClock())
    try:
        book = Book(spool, SystemClock())
        await book.load()
        results = book.backlog
        enrolment = Enrolment(worker=WORKER, worker_group="bench", tags=(), shared_tags=(), amqp_url=amqp_url)
        async with connect(enrolment, Secret("")) as link:
            clock = SystemClock()
            reporter = Reporter(
                book, spool, clock, Inquiry(book, spool, clock), Wishes(spool, clock, book.changes)
            )
            began_s = time.monotonic()
            await _until_drained(reporter.run(link), book)
            return results / (time.monotonic() - began_s)
    finally:
        await spool.close()


async def _until_drained(reporting: Coroutine[Any, Any, None], book: Book) -> None:
    async def watch() -> None:
        while book.backlog:
            await book.changes.newer_than(book.changes.version)
        raise _Drained

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(reporting)
            group.create_task(watch())
    except* _Drained:
        pass


async def publish_singly(amqp_url: str, count: int, size: int) -> float:
    """Results a second, one in a message, 50 confirms awaited at once; nothing is read or noted."""
    text = spools.document(0, size)
    bodies = [pack([_result(number, text)]) for number in range(count)]
    async with await aio_pika.connect(amqp_url) as connection:
        opened = await connection.channel(publisher_confirms=True)
        exchange = await opened.get_exchange(UP, ensure=False)
        waiting = iter(bodies)
        began_s = time.monotonic()

        async def publish_all() -> None:
            for body in waiting:
                message = aio_pika.Message(
                    body, content_type=CONTENT_TYPE, delivery_mode=aio_pika.DeliveryMode.PERSISTENT
                )
                await exchange.publish(message, up_key("result", WORKER), mandatory=True)

        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(publish_all())
        return count / (time.monotonic() - began_s)


def _result(number: int, text: bytes) -> Result:
    return spools.result(spools.job(number), text)
