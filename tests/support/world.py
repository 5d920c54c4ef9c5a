"""The product as its users run it: real bridges and agents as processes, links that can be cut, `kill -9`."""

import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from agent import status
from agent.errors import SpoolUnusable
from agent.tls.outbound import SYSTEM, Outbound
from dev_tools.brokers.bridges import introduce
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.certificates import Pair, ThrowAwayCA
from dev_tools.demo.link import SiteLink
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running, clear_below
from dev_tools.proxy import LinkProxy
from tests.support.first_store import PASSWORD, put_first_store
from tests.support.until import until

OURS: Final = (
    "MODE",
    "AGENT_TOKEN",
    "BASE_INTERNAL_URL",
    "AMQP_URL",
    "PUBLIC_AMQP_URL",
    "BASH_PATH",
    "PYTHON_PATH",
    "NODE_BIN",
    "BUN_PATH",
    "DENO_PATH",
    "POWERSHELL_PATH",
    "LANGUAGES_FILE",
    "SPOOL_QUOTA_MB",
    "SPOOL_FLOOR_MB",
    "SPOOL_LOG_MB",
    "CA_FILE",
    "CLIENT_CERT_FILE",
    "CLIENT_KEY_FILE",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
    "SPOOL_KEY_FILE",
    "AGENT_TOKEN_FILE",
    "CREDENTIALS_DIRECTORY",
)
START_S: Final = 20.0
JOB_S: Final = 30.0
END_S: Final = 3.0
RECONNECT_S: Final = 60.0  # the agent's gaps between tries grow to 30 s

Settings = Mapping[str, str]


def environment(settings: Settings) -> dict[str, str]:
    """This process's own, without the product's settings, and then exactly these."""
    return {name: text for name, text in os.environ.items() if name not in OURS} | dict(settings)


class Service:
    """A process of the product that is started, killed and started again with the same settings."""

    def __init__(self, folder: Path, command: list[str], settings: Settings) -> None:
        self.folder: Final = folder
        self.log: Final = folder / "log"
        self.settings = dict(settings)
        self._command: Final = [sys.executable, "-m", *command]
        self._mark: Final = folder / "dies-at"
        self._running: Running | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def process(self) -> Running:
        assert self._running is not None, "not started yet"
        return self._running

    def is_mortal(self) -> None:
        """From its next start it obeys `dies_at`."""
        self._command[2:2] = ["tests.support.killed_at", str(self._mark)]

    def dies_at(self, step: str) -> None:
        """SIGKILL at the next such step, one of `killed_at`."""
        self._mark.write_text(step)

    def run_inside(self, *words: str) -> None:
        """From its next start: through this command, which ends by becoming the words that follow it."""
        self._command[:0] = words

    def run_with(self, *options: str) -> None:
        """From its next start: with these options too."""
        self._command.extend(options)

    def launch(self) -> None:
        """Start it; returns at once."""
        self._running = Running(self._command, env=environment(self.settings), log=self.log, cwd=ROOT)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self.process.stop()

    def close(self) -> None:
        if self._running is not None:
            self._running.stop(END_S)  # in order, because a killed process writes no coverage

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name, in all its lives."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        logged = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in logged if event.get("event") == name]


class Bridge(Service):
    """`python -m bridge serve` or `relay` on a port of its own."""

    def __init__(
        self, folder: Path, command: str, amqp_url: str, settings: Settings, ca: ThrowAwayCA | None = None
    ) -> None:
        """With a `ca` it serves HTTPS, and trusts that one alone."""
        (port,) = free_ports(1)
        self.url: Final = f"{'https' if ca else 'http'}://127.0.0.1:{port}"
        self._trusted: Final = (Outbound(ca_file=ca.file) if ca else SYSTEM).context()
        own = {} if ca is None else _secured(ca, ca.issue(f"bridge-{port}"))
        own |= {
            "AMQP_URL": amqp_url,
            "BRIDGE_PORT": str(port),
            "BRIDGE_STORE": str(folder / "bridge.db"),
        }
        own |= introduce(amqp_url, self.url, folder / "bridge.db", self._trusted)
        super().__init__(folder, ["bridge", command], own | dict(settings))

    async def start(self) -> None:
        """Returns when it answers."""
        self.launch()
        await until(self._answers, within_s=START_S)

    def _answers(self) -> bool:
        assert self.process.is_running(), self.process.text()[-2000:]
        try:
            return httpx.get(f"{self.url}/api/version", verify=self._trusted).status_code < 500
        except httpx.TransportError:
            return False


def _secured(ca: ThrowAwayCA, pair: Pair) -> dict[str, str]:
    return {"CA_FILE": str(ca.file), "TLS_CERT_FILE": str(pair.cert), "TLS_KEY_FILE": str(pair.key)}


class Agent(Service):
    """`python -m agent` on a spool of its own."""

    def __init__(
        self, folder: Path, settings: Settings, options: list[str], spool: Path | None = None
    ) -> None:
        self.spool: Final = spool or folder / "spool"
        super().__init__(folder, ["agent", "--spool", str(self.spool), *options], settings)

    def status(self) -> dict[str, Any]:
        """What `python -m agent status --json` says, with no process for a look; empty while no spool."""
        try:
            return status.read(self.spool)
        except SpoolUnusable:
            return {}

    def links(self, state: str) -> int:
        """How often its link has come "up" or gone "down", in all its lives."""
        return len(self.events(f"link.{state}"))

    async def linked(self, times: int = 1) -> None:
        """Returns when its link has come up `times` times since the first start."""
        await until(lambda: self.links("up") >= times, within_s=RECONNECT_S)

    async def start(self) -> None:
        """Returns when its link is up."""
        before = self.links("up")
        self.launch()
        await self.linked(before + 1)

    def close(self) -> None:
        super().close()
        clear_below(self.spool)


class Cluster:
    """The public API of a cluster, as a superadmin uses it."""

    def __init__(self, url: str, outbound: Outbound = SYSTEM) -> None:
        self._url: Final = url
        self._client: Final = httpx.Client(base_url=url, timeout=20, verify=outbound.context())

    def login(self) -> None:
        asked = {"email": "admin@orvanta.local", "password": PASSWORD}
        answer = self._client.post("/api/auth/login", json=asked)
        answer.raise_for_status()
        self.use(answer.text)

    def use(self, bearer: str) -> None:
        """A superadmin's token from somewhere else."""
        self._client.headers["Authorization"] = f"Bearer {bearer}"

    @property
    def bearer(self) -> str:
        """The superadmin's token, for another client."""
        return self._client.headers["Authorization"].removeprefix("Bearer ")

    def close(self) -> None:
        self._client.close()

    def post(self, path: str, body: object) -> str:
        """The answer's text."""
        answer = self._client.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.text

    def read(self, path: str) -> Any:
        """The answer's JSON."""
        return self._get(path).json()

    def page(self, path: str) -> str:
        """As a person is shown it."""
        return self._get(path).text

    def token(self, *tags: str, group: str = "site", lives_s: int = 3600) -> str:
        """A new agent token for these tags."""
        body = {"worker_group": group, "tags": list(tags), "exp": int(time.time()) + lives_s}
        answer = self._client.post("/api/agent_workers/create_agent_token", json=body)
        answer.raise_for_status()
        token: str = answer.json()
        return token

    def is_refused(self, token: str) -> bool:
        """Whether the cluster answers 401 to this agent token."""
        bearer = f"Bearer jwt_agent_probe_{token.removeprefix('jwt_agent_')}"
        answer = httpx.get(
            f"{self._url}/api/agent_workers/get_min_version", headers={"Authorization": bearer}
        )
        return answer.status_code == 401

    def submit(
        self,
        code: str,
        tag: str,
        language: str = "bash",
        args: Mapping[str, object] | None = None,
        **query: str | int,
    ) -> str:
        """Run this code once; the job's id. `query`: timeout, priority, delivery and so on."""
        body = {"content": code, "language": language, "tag": tag, "args": args or {}}
        answer = self._client.post("/api/w/main/jobs/run/preview", json=body, params=query)
        assert answer.status_code == 201, answer.text
        return answer.text

    def job(self, job_id: str) -> dict[str, Any]:
        record: dict[str, Any] = self._get(f"/api/w/main/jobs_u/get/{job_id}").json()
        return record

    def logs(self, job_id: str, workspace: str = "main") -> str:
        return self._get(f"/api/w/{workspace}/jobs_u/get_logs/{job_id}").text

    def cancel(self, job_id: str, reason: str) -> None:
        answer = self._client.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={"reason": reason})
        answer.raise_for_status()

    def custody(self) -> list[dict[str, Any]]:
        """The bridge's rows: one for each attempt of each job that it ever answered for."""
        rows: list[dict[str, Any]] = self._get("/api/custody").json()["custody"]
        return rows

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        return [row for row in self.custody() if row["job_id"] == job_id]

    def completed(self) -> list[str]:
        """The ids of all completed jobs."""
        listed = self._get("/api/w/main/jobs/list", per_page=1000).json()
        return [one["id"] for one in listed if one["type"] == "CompletedJob"]

    async def done(self, job_id: str, within_s: float = JOB_S) -> dict[str, Any]:
        """The record of the job, once it is completed."""

        def look() -> dict[str, Any] | None:
            record = self.job(job_id)
            return record if record["type"] == "CompletedJob" else None

        record = await until(look, within_s=within_s)
        assert record is not None
        return record

    async def all_done(self, job_ids: list[str], within_s: float = JOB_S) -> None:
        """Returns when each is completed; the failure names those that are not."""

        def missing() -> tuple[bool, set[str]]:
            rest = set(job_ids) - set(self.completed())
            return not rest, rest

        await until(_truth_of(missing), within_s=within_s)

    async def running(self, job_id: str) -> None:
        """Returns when the site has reported the start."""
        await until(lambda: any(row["started_at"] for row in self.attempts(job_id)), within_s=JOB_S)

    async def accepted(self, job_id: str) -> None:
        """Returns when the site has custody."""
        await until(lambda: any(row["accepted_at"] for row in self.attempts(job_id)), within_s=JOB_S)

    def _get(self, path: str, **query: str | int) -> httpx.Response:
        answer = self._client.get(path, params=query or None)  # empty ones take those of the path away
        answer.raise_for_status()
        return answer


class World:
    """One cluster with its relay, and sites whose links (HTTP and AMQP) all run through two proxies.

    Without an `amqp_url` there is no relay, and the sites' links are HTTP alone.
    """

    def __init__(self, folder: Path, amqp_url: str = "") -> None:
        self.folder: Final = folder
        self.amqp_url: Final = amqp_url
        self._close: Final = ExitStack()
        settings = {"ZOMBIE_JOB_TIMEOUT": "5"}
        if amqp_url:
            broker = urlsplit(amqp_url)
            self.amqp_link: Final = self._proxy(broker.hostname or "", broker.port or 5672)
            login = f"{broker.username}:{broker.password}"
            public = broker._replace(netloc=f"{login}@{{host}}:{self.amqp_link.port}")
            settings["PUBLIC_AMQP_URL"] = public.geturl()
        self.bridge: Final = Bridge(folder / "bridge", "serve", amqp_url, settings)
        self._close.callback(self.bridge.close)
        self.http_link: Final = self._proxy("127.0.0.1", urlsplit(self.bridge.url).port or 0)
        self.cluster: Final = Cluster(self.bridge.url)
        self._close.callback(self.cluster.close)
        self._sites = 0

    async def open(self) -> None:
        self.cluster.use(await put_first_store(self.bridge.folder))
        await self.bridge.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._close.close()

    def site(
        self,
        *tags: str,
        slots: int = 1,
        ahead: int | None = None,
        base_url: str | None = None,
        token: str | None = None,
        more: Sequence[str] = (),
    ) -> Agent:
        """An agent that is not started yet; without a `token` it gets one for these tags. `more`: options."""
        self._sites += 1
        settings = {
            "MODE": "agent",
            "AGENT_TOKEN": token or self.cluster.token(*tags),
            "BASE_INTERNAL_URL": base_url or self.url_at("127.0.0.1"),
        }
        options = ["--slots", str(slots)] + ([] if ahead is None else ["--ahead", str(ahead)]) + [*more]
        agent = Agent(self.folder / f"site-{self._sites}", settings, options)
        self._close.callback(agent.close)
        return agent

    async def agent(self, *tags: str, slots: int = 1, ahead: int | None = None) -> Agent:
        """An agent with a token for these tags, its link up."""
        agent = self.site(*tags, slots=slots, ahead=ahead)
        await agent.start()
        return agent

    def link(self, host: str) -> SiteLink:
        """A link of its own for one site, at another loopback address; give the site its `url_at`."""
        bridge, broker = urlsplit(self.bridge.url).port or 0, urlsplit(self.amqp_url).port or 5672
        link = SiteLink(host, {self.http_link.port: bridge, self.amqp_link.port: broker})
        self._close.callback(link.close)
        return link

    def url_at(self, host: str) -> str:
        """Where a site with the link at `host` finds the bridge."""
        return f"http://{host}:{self.http_link.port}"

    def relay(self, token: str, amqp_url: str) -> Bridge:
        """A bridge, not started yet, that only relays for this world's cluster."""
        settings = {"AGENT_TOKEN": token, "BASE_INTERNAL_URL": self.bridge.url}
        bridge = Bridge(self.folder / "relay", "relay", amqp_url, settings)
        self._close.callback(bridge.close)
        return bridge

    def cut(self) -> None:
        """No byte passes between the sites and the cluster's side, by HTTP or AMQP."""
        self.http_link.cut()
        if self.amqp_url:
            self.amqp_link.cut()

    def restore(self) -> None:
        self.http_link.restore()
        if self.amqp_url:
            self.amqp_link.restore()

    def _proxy(self, host: str, port: int) -> LinkProxy:
        return self._close.enter_context(LinkProxy(host, port))


@asynccontextmanager
async def opened_world(folder: Path, broker: Broker) -> AsyncIterator[World]:
    """A world on a virtual host of its own, its bridge up."""
    with fresh_vhost(broker) as amqp_url, World(folder, amqp_url) as world:
        await world.open()
        yield world


@contextmanager
def paused(service: Service) -> Iterator[None]:
    """Stopped with SIGSTOP for as long as the block lasts."""
    service.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.signal(signal.SIGCONT)


def _truth_of(look: Callable[[], tuple[bool, object]]) -> Callable[[], "_Seen"]:
    """A condition that shows, when it fails, more than that it was false."""
    return lambda: _Seen(*look())


class _Seen:
    def __init__(self, truth: bool, what: object) -> None:  # noqa: FBT001 a verdict with what it rests on
        self._truth = truth
        self._what = what

    def __bool__(self) -> bool:
        return self._truth

    def __repr__(self) -> str:
        return repr(self._what)
