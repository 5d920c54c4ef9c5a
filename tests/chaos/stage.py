"""The parts of a chaos run: a broker, a bridge, three sites, and every link between them through a proxy."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.places import RUN
from dev_tools.ports import free_ports
from dev_tools.processes import start_ticks
from dev_tools.proxy import Cut, LinkProxy
from tests.chaos import clock, disk
from tests.chaos.plan import OWN_CLOCK, SITES, SMALL_DISK
from tests.chaos.work import SHARED_TAG
from tests.support.world import PASSWORD, Agent, Bridge, Cluster

FOLDERS: Final = RUN / "chaos"
SLOTS: Final = {"north": 6, "south": 3, "east": 5}
POLICIES: Final = f'{{"{SHARED_TAG}": {{"lost_after_s": 20}}}}'
HOSTS: Final = {name: f"127.0.0.{20 + number}" for number, name in enumerate(SITES)}


class Line:
    """All connections of one party to the others, which go bad together."""

    def __init__(self, *proxies: LinkProxy) -> None:
        self._proxies: Final = proxies

    def cut(self, mode: Cut) -> None:
        for proxy in self._proxies:
            proxy.cut(mode)

    def slow_down(self, *, bytes_per_s: int | None = None, delay_s: float = 0.0) -> None:
        for proxy in self._proxies:
            proxy.slow_down(bytes_per_s=bytes_per_s, delay_s=delay_s)

    def restore(self) -> None:
        for proxy in self._proxies:
            proxy.restore()


class Stage:
    """Built and torn down without a loop, so that Ctrl-C at any moment ends in the same `close`."""

    def __init__(self, broker: Broker) -> None:
        self.broker: Final = broker
        self.lacking: Final[dict[str, str]] = {}  # kind of fault → why it cannot be had here
        self.lines: Final[dict[str, Line]] = {}
        self.agents: Final[dict[str, Agent]] = {}
        self.small_disk: disk.SmallDisk | None = None
        self.own_clock: clock.OwnClock | None = None
        self._close: Final = ExitStack()
        self.folder: Final = _new_folder()
        try:
            self._build()
        except BaseException:
            self._close.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._close.close()

    def remove_folder(self) -> None:
        """Its logs and journals are of no use any more. Only after `close`."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def journals(self) -> Mapping[str, Path]:
        return {name: self.folder / name / "journal" for name in SITES}

    def open_sites(self) -> None:
        """Start the agents. The bridge has to answer before, for their tokens."""
        cluster = Cluster(self.bridge.url)
        self._close.callback(cluster.close)
        cluster.login()
        for name in SITES:
            self.agents[name] = self._agent(name, cluster.token(name, SHARED_TAG, group=name))
            self._close.callback(self.agents[name].close)
            self.agents[name].launch()

    def _build(self) -> None:
        url = self.broker.url if self.broker.is_ours else self._close.enter_context(fresh_vhost(self.broker))
        if not self.broker.is_ours:
            why = "the RabbitMQ of AMQP_URL is not ours to kill or to alarm"
            self.lacking.update(dict.fromkeys(("kill_broker", "memory_alarm", "disk_alarm"), why))
        parts = urlsplit(url)
        address = (parts.hostname or "", parts.port or 5672)
        login = parts.netloc.rpartition("@")[0]
        uplink = self._close.enter_context(LinkProxy(*address))
        self.lines["bridge"] = Line(uplink)
        (self._amqp_port, self._http_port) = free_ports(2)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        settings = {
            "PUBLIC_AMQP_URL": f"amqp://{login}@{{host}}:{self._amqp_port}{parts.path}",
            "ADMIN_PASSWORD_FILE": str(password),
            "ZOMBIE_JOB_TIMEOUT": "10",
            "TAG_POLICIES": POLICIES,
        }
        own_url = parts._replace(netloc=f"{login}@127.0.0.1:{uplink.port}").geturl()
        self.bridge: Final = Bridge(self.folder / "bridge", "serve", own_url, settings)
        self._close.callback(self.bridge.close)
        bridge_port = urlsplit(self.bridge.url).port or 0
        for name, host in HOSTS.items():
            amqp = self._close.enter_context(LinkProxy(*address, self._amqp_port, host))
            http = self._close.enter_context(LinkProxy("127.0.0.1", bridge_port, self._http_port, host))
            self.lines[name] = Line(amqp, http)
        self._give_disk()
        self._give_clock()

    def _give_disk(self) -> None:
        why = disk.why_not()
        if not why:
            try:
                self.small_disk = disk.SmallDisk(self.folder / SMALL_DISK / "disk")
                self._close.callback(self.small_disk.close)
            except (OSError, subprocess.CalledProcessError) as error:
                why = f"a small disk cannot be mounted here: {error}"
        if why:
            self.lacking["spool_full"] = why

    def _give_clock(self) -> None:
        library = clock.library()
        if library is None:
            self.lacking["clock_jump"] = "libfaketime is not installed (apt-get install faketime)"
        else:
            self.own_clock = clock.OwnClock(self.folder / "clock", library)

    def _agent(self, name: str, token: str) -> Agent:
        home = self.folder / name
        settings = {
            "MODE": "agent",
            "AGENT_TOKEN": token,
            "BASE_INTERNAL_URL": f"http://{HOSTS[name]}:{self._http_port}",
            "HOME": str(home),  # where its jobs find their journal
        }
        if name == OWN_CLOCK and self.own_clock is not None:
            settings |= self.own_clock.settings
        small = self.small_disk.path if name == SMALL_DISK and self.small_disk else home
        return Agent(home, settings, ["--slots", str(SLOTS[name])], spool=small / "spool")


def _new_folder() -> Path:
    """A folder of this process, after a sweep of what runs that were killed have left."""
    FOLDERS.mkdir(parents=True, exist_ok=True)
    for old in FOLDERS.iterdir():
        if old.name.isdecimal() and start_ticks(int(old.name)) is None:
            disk.unmount_below(old)
    folder = FOLDERS / str(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
