"""A world whose sites stand at addresses of their own, so that each one's links break alone."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import aio_pika
import httpx

from agent.wire.tokens import broker_login, token_id
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import REQUEST_S, fresh_vhost
from dev_tools.ports import free_ports
from dev_tools.proxy import LinkProxy
from tests.support.amqp_proxy import AmqpProxy
from tests.support.until import until
from tests.support.world import Agent, World

SOON_S: Final = 30.0


class Management:
    """RabbitMQ's management API, for one virtual host."""

    def __init__(self, broker: Broker, amqp_url: str) -> None:
        assert broker.management_url is not None
        self._amqp_url: Final = amqp_url
        self._vhost: Final = quote(urlsplit(amqp_url).path[1:], safe="")
        self._api: Final = httpx.Client(base_url=f"{broker.management_url}/api", timeout=REQUEST_S)

    async def close_connections(self, agent: Agent) -> None:
        """As an operator or a broker that restarts would. Returns when it had both."""
        await until(lambda: self._closed_both(agent), within_s=SOON_S)

    def delete_queue(self, name: str) -> None:
        self._api.delete(f"/queues/{self._vhost}/{quote(name, safe='')}").raise_for_status()

    async def consumers(self, queue: str) -> int:
        """As the broker counts them at this moment; the statistics of the API are seconds old."""
        async with await aio_pika.connect(self._amqp_url) as connection:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.consumer_count or 0

    def close(self) -> None:
        self._api.close()

    def connections(self, agent: Agent) -> int:
        """How many the agent has at this moment."""
        return len(self._api.get(f"/connections/username/{quote(login_of(agent), safe='')}").json())

    def _closed_both(self, agent: Agent) -> bool:
        there = self.connections(agent)
        self._api.delete(f"/connections/username/{quote(login_of(agent), safe='')}").raise_for_status()
        return there > 1  # a link is two


def login_of(agent: Agent) -> str:
    """Its name at the broker."""
    return broker_login(agent.status()["worker"], token_id(agent.settings["AGENT_TOKEN"]))


class Place:
    """Where one site stands: a loopback address with an HTTP and an AMQP link of its own."""

    def __init__(self, agent: Agent, http_link: LinkProxy, amqp_link: AmqpProxy) -> None:
        self.agent: Final = agent
        self.http_link: Final = http_link
        self.amqp_link: Final = amqp_link


class Places:
    def __init__(self, world: World, management: Management, broker: Broker) -> None:
        self._broker: Final = broker
        self.world: Final = world
        self.cluster: Final = world.cluster
        self.management: Final = management
        self._http_port, self._amqp_port = free_ports(2)
        self._links: Final[list[LinkProxy]] = []
        vhost = urlsplit(world.amqp_url).path
        world.bridge.settings["PUBLIC_AMQP_URL"] = f"amqp://{{host}}:{self._amqp_port}{vhost}"

    def refuse_logins(self) -> None:
        """The broker cannot ask the bridge any more whom to let in."""
        assert self._broker.bridges is not None
        self._broker.bridges.forget(self.world.amqp_url)

    def allow_logins(self) -> None:
        assert self._broker.bridges is not None
        self._broker.bridges.add(self.world.amqp_url, self.world.bridge.url)

    def place(self, *tags: str, name: str | None = None, slots: int = 1, ahead: int = 10) -> Place:
        """A site that is not started yet. It finds the cluster under `name`, or under its bare address."""
        host = f"127.0.0.{len(self._links) // 2 + 2}"
        bridge, broker = urlsplit(self.world.bridge.url), urlsplit(self.world.amqp_url)
        http_link = LinkProxy("127.0.0.1", bridge.port or 0, self._http_port, host)
        amqp_link = AmqpProxy("127.0.0.1", broker.port or 5672, self._amqp_port, host)
        self._links += [http_link, amqp_link]
        base_url = f"http://{name or host}:{self._http_port}"
        return Place(
            self.world.site(*tags, slots=slots, ahead=ahead, base_url=base_url), http_link, amqp_link
        )

    def address_of(self, place: Place) -> str:
        return f"127.0.0.{self._links.index(place.http_link) // 2 + 2}"

    def close(self) -> None:
        for link in self._links:
            link.close()
        self.management.close()


class Work:
    """Jobs that write down, each time that they run, that they did; the gated ones once the gate is open."""

    def __init__(self, places: Places, folder: Path, tag: str) -> None:
        self._cluster: Final = places.cluster
        self._trace: Final = folder / f"trace-{tag}"
        self._gate: Final = folder / f"gate-{tag}"
        self._tag: Final = tag
        self.jobs: Final[list[str]] = []

    def submit(self, word: str, *, gated: bool = False) -> str:
        wait = f"while [ ! -e {self._gate} ]; do sleep 0.05; done; " if gated else ""
        self.jobs.append(self._cluster.submit(f"{wait}echo {word} >> {self._trace}; echo {word}", self._tag))
        return self.jobs[-1]

    async def hold(self) -> None:
        """One job runs at the site, and one waits there."""
        await self._cluster.running(self.submit("running", gated=True))
        await self._cluster.accepted(self.submit("waiting", gated=True))

    def open_gate(self) -> None:
        self._gate.touch()

    def ran(self) -> list[str]:
        return self._trace.read_text().split() if self._trace.exists() else []

    async def recorded_once(self, words: list[str], within_s: float) -> None:
        """Each was run once, by its first attempt, and the cluster has its result."""
        await self._cluster.all_done(self.jobs, within_s=within_s)
        assert [self._cluster.job(job)["result"] for job in self.jobs] == words
        assert sorted(self.ran()) == sorted(words)
        assert [len(self._cluster.attempts(job)) for job in self.jobs] == [1] * len(words)


@asynccontextmanager
async def opened_places(folder: Path, broker: Broker) -> AsyncIterator[Places]:
    """A world on a virtual host of its own, its bridge up, no site yet."""
    with fresh_vhost(broker) as amqp_url, World(folder, amqp_url) as world:
        places = Places(world, Management(broker, amqp_url), broker)
        try:
            await world.open()
            yield places
        finally:
            places.close()


def reasons(agent: Agent, event: str) -> str:
    return json.dumps([one.get("reason") for one in agent.events(event)])
