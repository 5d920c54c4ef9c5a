"""Once a token has ended its connections are closed, and what its agent holds over HTTP is taken from it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agent.wire.claims import WorkerName
from agent.wire.tokens import broker_login, token_id
from bridge.agents.revocations import Ended, Revocations
from bridge.errors import BrokerDown
from tests.support.cluster import Running
from tests.support.until import until

ALL = "/api/agent_workers"
SUFFIX = "till-a1b2c"
WORKER = WorkerName(f"ag-pos-{SUFFIX}")


@dataclass
class Broker:
    """Whose connections were ended, and why."""

    is_down: bool = False
    asked: int = 0
    ended: dict[str, str] = field(default_factory=dict)

    async def end_connections(self, login: str, reason: str) -> None:
        self.asked += 1
        if self.is_down:
            raise BrokerDown("cut")
        self.ended[login] = reason


@asynccontextmanager
async def carried_out(cluster: Running, broker: Broker) -> AsyncIterator[list[Ended]]:
    """As the bridge does it, without a broker; the ends that were carried out."""
    taken: list[Ended] = []

    async def take(ended: Ended) -> None:
        await cluster.cluster.holding.take_from(ended.worker, ended.why, is_trusted=ended.is_trusted)
        taken.append(ended)

    tokens = cluster.cluster.tokens
    revocations = Revocations(tokens.seen, tokens.blacklist.all, broker.end_connections, cluster.clock)
    running = asyncio.ensure_future(revocations.run([take]))
    yield taken
    running.cancel()


async def minted(cluster: Running, lives_s: int = 3600) -> str:
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + lives_s}
    token: str = (await cluster.admin.post(f"{ALL}/create_agent_token", json=body)).json()
    return token


def login(token: str) -> str:
    return broker_login(WORKER, token_id(token))


async def pulled(cluster: Running, token: str) -> str:
    client = cluster.client(f"jwt_agent_{SUFFIX}_{token.removeprefix('jwt_agent_')}")
    job: str = (await client.post(f"{ALL}/pull_job", json=None)).json()["job"]["id"]
    return job


async def revoke(cluster: Running, token: str) -> None:
    (await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": token})).raise_for_status()


@pytest.mark.on_both_stores
async def test_a_revoked_one(cluster: Running) -> None:
    broker, token = Broker(), await minted(cluster)
    again = await cluster.preview()
    once = await cluster.preview(delivery="at_most_once")
    assert {await pulled(cluster, token), await pulled(cluster, token)} == {again, once}
    async with carried_out(cluster, broker) as taken:
        await revoke(cluster, token)
        await until(lambda: taken)
    assert taken == [Ended(WORKER, is_trusted=False, why="its token was revoked")]
    assert broker.ended == {login(token): "its token was revoked"}
    assert (await cluster.job(once))["result"]["error"]["name"] == "CustodianLost"  # type: ignore[index] # a JSON object
    assert await pulled(cluster, await minted(cluster, 7200)) == again


@pytest.mark.on_both_stores
async def test_an_expired_one(cluster: Running) -> None:
    broker, token = Broker(), await minted(cluster)
    job = await cluster.preview()
    assert await pulled(cluster, token) == job
    async with carried_out(cluster, broker) as taken:
        await asyncio.sleep(0)
        assert taken == []
        cluster.clock.ahead_s = 3601
        await until(lambda: taken)
    assert taken == [Ended(WORKER, is_trusted=True, why="its token has expired")]
    assert list(broker.ended) == [login(token)]
    assert await pulled(cluster, await minted(cluster, 7200)) == job


async def test_whoever_has_a_new_token_by_then_keeps_what_it_holds(cluster: Running) -> None:
    broker, old, new = Broker(), await minted(cluster), await minted(cluster, 7200)
    first, second = await cluster.preview(), await cluster.preview()
    assert {await pulled(cluster, old), await pulled(cluster, new)} == {first, second}
    async with carried_out(cluster, broker) as taken:
        await revoke(cluster, old)
        await until(lambda: broker.ended)
        await revoke(cluster, new)
        await until(lambda: taken)
    assert list(broker.ended) == [login(old), login(new)]
    assert len(taken) == 1


async def test_one_that_holds_again_and_is_revoked_again(cluster: Running) -> None:
    broker, token = Broker(), await minted(cluster)
    async with carried_out(cluster, broker) as taken:
        for times in (1, 2):
            job = await cluster.preview(delivery="at_most_once")
            assert await pulled(cluster, token) == job
            await revoke(cluster, token)
            await until(lambda: len(taken) == times)  # noqa: B023 it is asked in this round
            await cluster.admin.post(f"{ALL}/remove_blacklist_token", json={"token": token})


async def test_what_cannot_be_done_now_is_done_later(cluster: Running) -> None:
    broker, token = Broker(is_down=True), await minted(cluster)
    await cluster.preview()
    await pulled(cluster, token)
    async with carried_out(cluster, broker) as taken:
        await revoke(cluster, token)
        await until(lambda: broker.asked)
        assert taken == []  # whose consumers are open would get what is taken from it
        broker.is_down = False
        await until(lambda: taken)
    assert broker.ended == {login(token): "its token was revoked"}
