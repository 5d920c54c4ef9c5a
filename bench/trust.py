"""What trust costs, and how fast it is taken away.

`./dev bench trust [--logins N] [--publishes N] [--revocations N] [--rounds N]`. First what signatures cost,
which `./dev bench signing` measures alone. Then a real RabbitMQ, and a bridge in a process of its own.
Log-ins and publishes of an agent, for which RabbitMQ asks the bridge, stand beside those of a user of
RabbitMQ's own. A revocation is counted from the operator's request on: until the API refuses the token, and
until RabbitMQ has closed the agent's live connection.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import quote, urlsplit

import aio_pika
import httpx
from aio_pika.abc import AbstractConnection

from agent.progress import tracked
from agent.wire.claims import WorkerName
from agent.wire.routing import CANARY, UP, control_queue, up_key
from agent.wire.tokens import bearer_of, broker_login, token_id
from bench import signing
from bench.fleet import UNPACED, Bridge
from bench.support.figures import percentile, ratio_line
from bench.support.folders import own_folder
from bench.support.work import JobWentWrong
from bridge.broker.setup import ASKED_AT
from dev_tools.broker import Broker, BrokerError, find
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.stopping import stop_by_unwinding

SUFFIX: Final = "bench-one"
GROUP: Final = "trust"
WORKER: Final = WorkerName(f"ag-{GROUP}-{SUFFIX}")
AT_ONCE: Final = 8
IN_FLIGHT: Final = 50
SIZE: Final = 1000
A_DAY_S: Final = 86_400
GONE_S: Final = 30.0
API: Final = "/api/agent_workers"


class Trust:
    def __init__(self, bridge: Bridge, amqp_url: str) -> None:
        self._bridge = bridge
        self._own_url = amqp_url
        self._minted = 0

    async def agent(self) -> tuple[str, str]:
        """A new token, enrolled; the bearer and the address with which its agent logs in."""
        self._minted += 1
        asked = {"worker_group": GROUP, "tags": ["bench"], "exp": int(time.time()) + A_DAY_S + self._minted}
        answer = await asyncio.to_thread(self._bridge.api.call, "POST", f"{API}/create_agent_token", asked)
        bearer = bearer_of(answer.strip('"'), SUFFIX)
        async with httpx.AsyncClient(base_url=self._bridge.url) as client:
            headers = {"Authorization": f"Bearer {bearer}"}
            (await client.post(f"{API}/enroll", json={}, headers=headers)).raise_for_status()
        parts = urlsplit(self._own_url)
        login = quote(broker_login(WORKER, token_id(bearer)), safe="")
        netloc = f"{login}:{quote(bearer, safe='')}@{parts.hostname}:{parts.port}"
        return bearer, parts._replace(netloc=netloc).geturl()

    async def revocation(self) -> tuple[float, float]:
        """Seconds until the API refuses a token, and until its live connection is closed."""
        bearer, url = await self.agent()
        connection = await aio_pika.connect(url)
        closed_s: asyncio.Future[float] = asyncio.get_running_loop().create_future()

        def closed(*_about: object) -> None:
            if not closed_s.done():
                closed_s.set_result(time.monotonic())

        connection.close_callbacks.add(closed)
        async with httpx.AsyncClient(
            base_url=self._bridge.url, headers={"Authorization": f"Bearer {bearer}"}
        ) as client:
            assert (await client.get(f"{API}/get_min_version")).is_success
            began_s = time.monotonic()
            call = self._bridge.api.call
            await asyncio.to_thread(call, "POST", f"{API}/blacklist_token", {"token": bearer})
            while (await client.get(f"{API}/get_min_version")).is_success:
                pass
            refused_s = time.monotonic()
        async with asyncio.timeout(GONE_S):
            return refused_s - began_s, await closed_s - began_s


async def logins_per_s(url: str, count: int) -> float:
    async def log_in() -> None:
        for _ in range(count // AT_ONCE):
            await (await aio_pika.connect(url)).close()

    return await _rate(log_in, AT_ONCE, count // AT_ONCE * AT_ONCE)


async def publishes_per_s(url: str, login: str, count: int) -> float:
    """Persistent, confirmed, and signed with the sender's name, to a queue that nobody reads."""
    connection: AbstractConnection = await aio_pika.connect(url)
    async with connection:
        exchange = await (await connection.channel()).get_exchange(UP, ensure=False)
        message = aio_pika.Message(
            b"x" * SIZE, user_id=login, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, expiration=A_DAY_S
        )

        async def publish() -> None:
            for _ in range(count // IN_FLIGHT):
                await exchange.publish(message, up_key(CANARY, WORKER), mandatory=True)

        return await _rate(publish, IN_FLIGHT, count // IN_FLIGHT * IN_FLIGHT)


async def _rate(work: Callable[[], Awaitable[None]], at_once: int, count: int) -> float:
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())  # type: ignore[arg-type] # they are coroutines
    return count / (time.monotonic() - began_s)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench trust")
    parser.add_argument("--logins", type=int, default=120, help="in each round, on each side")
    parser.add_argument("--publishes", type=int, default=5000, help="in each round, on each side")
    parser.add_argument("--revocations", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    signing.main(())
    stop_by_unwinding()
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it tells of every connection that is closed
    try:
        with find() as broker, fresh_vhost(broker) as amqp_url, own_folder() as folder:
            bridge = Bridge(folder / "bridge", amqp_url)
            try:
                bridge.start(UNPACED)
                _ask_straight(broker, bridge.url)
                asyncio.run(_measure(Trust(bridge, amqp_url), amqp_url, options))
            finally:
                bridge.stop()
    except (BrokerError, JobWentWrong) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _ask_straight(broker: Broker, bridge_url: str) -> None:
    """RabbitMQ asks this one bridge itself, and not through us. A container does not reach it."""
    if broker.kind != "node":
        print("RabbitMQ asks through this process, which costs log-ins")
        return
    for what in ("user", "vhost", "resource", "topic"):
        setting = f'rabbitmq_auth_backend_http, {what}_path, "{bridge_url}{ASKED_AT}/{what}"'
        broker.ctl("eval", f"application:set_env({setting}).")


async def _measure(trust: Trust, own_url: str, options: argparse.Namespace) -> None:
    bearer, url = await trust.agent()
    login, user = broker_login(WORKER, token_id(bearer)), urlsplit(own_url).username or ""
    await logins_per_s(url, AT_ONCE)
    asked, own = [], []
    for _ in tracked("rounds of log-ins", range(options.rounds)):
        asked.append(await logins_per_s(url, options.logins))
        own.append(await logins_per_s(own_url, options.logins))
    _say("log-ins/s", asked, own)
    published, published_own = [], []
    for _ in tracked("rounds of publishes", range(options.rounds)):
        published.append(await publishes_per_s(url, login, options.publishes))
        published_own.append(await publishes_per_s(own_url, user, options.publishes))
        await _empty(own_url)
    _say("publishes/s with confirms", published, published_own)
    seconds = [await trust.revocation() for _ in tracked("revocations", range(options.revocations))]
    for what, taken_s in zip(("API", "live AMQP connection"), zip(*seconds, strict=True), strict=True):
        print(
            f"revocation, {what}: p50 {percentile(taken_s, 50) * 1000:.0f} ms, "
            f"max {max(taken_s) * 1000:.0f} ms (n={len(taken_s)})"
        )
    print(ratio_line("log-ins, asking the bridge / RabbitMQ's own", asked, own))
    print(ratio_line("publishes, asking the bridge / RabbitMQ's own", published, published_own))


def _say(what: str, asked: Sequence[float], own: Sequence[float]) -> None:
    print(f"{what}: {percentile(asked, 50):.0f} asking the bridge, {percentile(own, 50):.0f} RabbitMQ's own")


async def _empty(own_url: str) -> None:
    async with await aio_pika.connect(own_url) as connection:
        queue = await (await connection.channel()).get_queue(control_queue(WORKER), ensure=False)
        await queue.purge()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
