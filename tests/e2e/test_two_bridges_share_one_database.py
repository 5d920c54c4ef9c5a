"""Two bridges on one database: whichever is killed or stopped, nothing is lost and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bridge.store.on_server import OnServer
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from tests.support.flow import HTTP, SITE, Flow
from tests.support.pair import Pair
from tests.support.until import until
from tests.support.world import paused

pytestmark = pytest.mark.broker

FOLLOWED_S: Final = 60.0  # the lease of a bridge that hangs is 10 s, and machines are slow


@pytest.fixture
async def pair(tmp_path: Path, broker: Broker, database: OnServer) -> AsyncIterator[Pair]:
    with fresh_vhost(broker) as amqp_url, Pair(tmp_path, amqp_url, database, "ab") as opened:
        await opened.open()
        yield opened


async def test_whichever_dies(pair: Pair, tmp_path: Path) -> None:
    flow, workers = Flow(pair, tmp_path / "trace"), [pair.worker(HTTP, name=f"till-{n}") for n in range(2)]
    _, standing_by = pair.bridges
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker.work()) for worker in workers]
        await pair.agent(standing_by, SITE, slots=2).start()  # who enrols there gets what it needs
        await flow.push(4, standing_by)
        await flow.done(1, standing_by)
        for _ in range(3):
            await killed_and_followed(pair, flow)
        await stopped_and_followed(pair, flow)
        await flow.once_each(pair.leader(), workers)
        for task in tasks:
            task.cancel()


async def killed_and_followed(pair: Pair, flow: Flow) -> None:
    leader = pair.leader()
    other, term = pair.other(leader), pair.term(leader)
    await flow.push(3, leader)
    leader.kill()
    await flow.push(3, other)
    await until(lambda: pair.term(other) > term, within_s=FOLLOWED_S)
    await flow.done(1, other)
    await leader.start()


async def stopped_and_followed(pair: Pair, flow: Flow) -> None:
    """One that hangs in the middle of its work, and wakes when another leads."""
    leader = pair.leader()
    other, term = pair.other(leader), pair.term(leader)
    await flow.push(3, leader)
    with paused(leader):
        await flow.push(3, other)
        await until(lambda: pair.term(other) > term, within_s=FOLLOWED_S)
    await until(lambda: leader.events("bridge.deposed"), within_s=FOLLOWED_S)
    assert pair.leader() is other
