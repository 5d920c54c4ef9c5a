"""What the demo runs: a broker, a bridge, three links, three agents; all real, all ended at the end."""

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.tls.outbound import Outbound
from dev_tools.broker import Broker
from dev_tools.brokers.bridges import introduce
from dev_tools.certificates import ThrowAwayCA
from dev_tools.demo.cluster import Cluster
from dev_tools.demo.link import SiteLink
from dev_tools.demo.sites import SCRIPTS, Shop
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running, clear_below

NAMES: Final = ("suva", "apia", "nadi")
A_YEAR_S: Final = 31_536_000


class World:
    def __init__(
        self,
        folder: Path,
        broker: Broker,
        certificates: ThrowAwayCA | None = None,
        *,
        names: Sequence[str] = NAMES,
        serve: Sequence[str] = (),
    ) -> None:
        """With `certificates`, which must be the broker's too, everything goes over TLS.

        `names`: the shops. `serve`: further words for `python -m bridge serve`.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self.broker = broker
        self.password = secrets.token_urlsafe(12)
        (folder / "password").write_text(self.password)
        self.port, amqp_port = free_ports(2)
        self.shops = [Shop(name, folder / name / "pos.db") for name in names]
        self._serve = serve
        self.ca_file = None if certificates is None else certificates.file
        self._pair = None if certificates is None else certificates.issue("bridge")
        self._broker_url = broker.url if certificates is None else broker.tls_url or ""
        forwarded = {self.port: self.port, amqp_port: urlsplit(self._broker_url).port or 5672}
        # Each site reaches head office under an address of its own, so that its link can be cut alone.
        self.hosts = {shop.name: f"127.0.7.{number}" for number, shop in enumerate(self.shops, 1)}
        self.links = {shop.name: SiteLink(self.hosts[shop.name], forwarded) for shop in self.shops}
        self._amqp_port = amqp_port
        self.url = self._url_at("127.0.0.1")
        self.cluster = Cluster(self.url, self.ca_file)
        self.token = ""
        self._agent_tokens: dict[str, str] = {}
        self._bridge: Running | None = None
        self._agents: dict[str, Running] = {}

    async def open(self) -> None:
        self.start_bridge()
        self.token = await self.cluster.log_in(self.password)
        for script in SCRIPTS:
            await self.cluster.deploy(dict(script))
        for shop in self.shops:
            shop.open()
            self._agent_tokens[shop.name] = await self.cluster.mint_agent_token(
                shop.name, [shop.tag], int(time.time()) + A_YEAR_S
            )
            self.start_agent(shop.name)

    def start_bridge(self) -> None:
        parts = urlsplit(self._broker_url)
        login = parts.netloc.rpartition("@")[0]
        settings = self._trust() | {
            "AMQP_URL": self._broker_url,
            "PUBLIC_AMQP_URL": f"{parts.scheme}://{login}@{{host}}:{self._amqp_port}{parts.path}",
            "BRIDGE_PORT": str(self.port),
            "BRIDGE_STORE": str(self._folder / "bridge.db"),
            "ADMIN_PASSWORD_FILE": str(self._folder / "password"),
            **introduce(
                self.broker.url,
                self.url,
                self._folder / "bridge.db",
                Outbound(ca_file=self.ca_file).context(),
            ),
        }
        if self._pair is not None:
            settings |= {"TLS_CERT_FILE": str(self._pair.cert), "TLS_KEY_FILE": str(self._pair.key)}
        self._bridge = self._run("bridge", ["bridge", "serve", *self._serve], settings)

    def start_agent(self, name: str) -> None:
        settings = self._trust() | {
            "MODE": "agent",
            "AGENT_TOKEN": self._agent_tokens[name],
            "BASE_INTERNAL_URL": self._url_at(self.hosts[name]),
        }
        command = ["agent", "--spool", str(self.spool(name)), "--slots", "2"]
        self._agents[name] = self._run(name, command, settings)

    def spool(self, name: str) -> Path:
        return self._folder / name / "spool"

    def kill_agent(self, name: str) -> None:
        self._agents[name].kill()

    def kill_bridge(self) -> None:
        assert self._bridge is not None  # noqa: S101 `open` started it
        self._bridge.kill()

    async def restart_broker(self) -> None:
        await asyncio.to_thread(self.broker.restart)

    async def close(self) -> None:
        """End everything by pid; what jobs left running in their folders as well."""
        for link in self.links.values():
            link.close()
        for process in (*self._agents.values(), self._bridge):
            if process is not None and process.is_running():
                process.kill()
        await asyncio.to_thread(clear_below, self._folder)
        await self.cluster.close()

    def _url_at(self, host: str) -> str:
        return f"{'http' if self._pair is None else 'https'}://{host}:{self.port}"

    def _trust(self) -> dict[str, str]:
        return {} if self.ca_file is None else {"CA_FILE": str(self.ca_file)}

    def _run(self, name: str, command: list[str], settings: dict[str, str]) -> Running:
        env = {
            key: os.environ[key]
            for key in ("PATH", "HOME", "TMPDIR", "PYTHONPYCACHEPREFIX")
            if key in os.environ
        }
        log = self._folder / f"{name}.log"
        return Running([sys.executable, "-m", *command], env={**env, **settings}, log=log, cwd=ROOT)
