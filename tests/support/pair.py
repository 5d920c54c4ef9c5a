"""Bridges on one PostgreSQL database and one RabbitMQ, as processes; and workers that ask any of them."""

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from agent.wire.repeatable import REQUEST_ID
from bridge.store.on_server import OnServer
from tests.support.until import until
from tests.support.world import PASSWORD, Agent, Bridge, Cluster

ANSWER_S: Final = 120.0  # a worker asks the bridges in turn for so long
WAIT: Final = {"Prefer": "wait=5"}


class Worker:
    """A plain agent worker over HTTP: its calls go to the bridges in turn, and what fails to the next."""

    def __init__(self, urls: list[str], token: str, name: str) -> None:
        bearer = f"jwt_agent_{name}_{token.removeprefix('jwt_agent_')}"
        self._turns: Final = itertools.cycle(urls)
        self._client: Final = httpx.AsyncClient(headers={"Authorization": f"Bearer {bearer}"}, timeout=10)
        self.ran: Final[Counter[str]] = Counter()  # by job: how often it was handed out to be run

    async def work(self) -> None:
        """For ever: a job's result is what its code says after `echo`."""
        while True:
            key = {REQUEST_ID: uuid4().hex}
            pulled = await self._until_done("/api/agent_workers/pull_job", None, key | WAIT)
            if pulled is not None:
                job = pulled["job"]
                self.ran[job["id"]] += 1
                path = f"/api/w/{job['workspace_id']}/agent_workers/send_result/{job['id']}"
                result = pulled["raw_code"].removeprefix("echo ")
                await self._until_done(path, {"success": True, "result": result}, {})

    async def _until_done(self, path: str, body: object, headers: Mapping[str, str]) -> Any:
        """The answer: the call is such that it may be made again after a lost one."""

        async def once() -> tuple[Any]:
            try:
                answer = await self._client.post(next(self._turns) + path, json=body, headers=headers)
            except httpx.TransportError as error:
                raise AssertionError(repr(error)) from error
            assert answer.status_code == 200, answer.text
            return (json.loads(answer.text),)

        return (await until(once, within_s=ANSWER_S))[0]


class Pair:
    def __init__(self, folder: Path, amqp_url: str, database: OnServer, names: str) -> None:
        password = folder / "password"
        password.write_text(PASSWORD)
        settings = {
            "ADMIN_PASSWORD_FILE": str(password),
            "DATABASE_URL": database.url.reveal(),
            "STORE_KEY_FILE": str(database.key_path),
        }
        self._folder: Final = folder
        self._close: Final = ExitStack()
        self.bridges: Final = [Bridge(folder / name, "serve", amqp_url, settings) for name in names]
        for bridge in self.bridges:
            del bridge.settings["BRIDGE_STORE"]
            self._close.callback(bridge.close)
        self.clusters: Final = [Cluster(bridge.url) for bridge in self.bridges]
        for cluster in self.clusters:
            self._close.callback(cluster.close)

    async def open(self) -> None:
        """The first one leads."""
        for bridge, cluster in zip(self.bridges, self.clusters, strict=True):
            await bridge.start()
            cluster.login()
            await until(lambda: self.leader() is self.bridges[0])

    def leader(self) -> Bridge:
        """Whose term is the newest."""
        return max(self.bridges, key=self.term)

    def term(self, bridge: Bridge) -> int:
        return max((event["epoch"] for event in bridge.events("bridge.leads")), default=0)

    def other(self, bridge: Bridge) -> Bridge:
        return next(one for one in self.bridges if one is not bridge)

    def cluster_of(self, bridge: Bridge) -> Cluster:
        return self.clusters[self.bridges.index(bridge)]

    def agent(self, bridge: Bridge, *tags: str, slots: int) -> Agent:
        """An agent, not started yet, that enrols with this bridge."""
        settings = {
            "MODE": "agent",
            "AGENT_TOKEN": self.cluster_of(bridge).token(*tags),
            "BASE_INTERNAL_URL": bridge.url,
        }
        agent = Agent(self._folder / "site", settings, ["--slots", str(slots)])
        self._close.callback(agent.close)
        return agent

    def worker(self, *tags: str, name: str) -> Worker:
        return Worker([bridge.url for bridge in self.bridges], self.clusters[0].token(*tags), name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._close.close()
