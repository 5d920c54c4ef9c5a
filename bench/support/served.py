"""The server under a crowd: the bridge with its statements counted, and what it and its broker cost."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlencode

from bench.support import proc
from bench.support.counted import Counters
from bench.support.ours import EMAIL, PASSWORD, Api
from bench.support.work import JobWentWrong, surroundings
from dev_tools.brokers.bridges import introduce
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running

START_S: Final = 60.0
PAUSE_S: Final = 0.05
UNPACED: Final = 1_000_000
PUSHERS: Final = 8
TAG: Final = "bench"
YEAR_S: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Moment:
    """What has been used up to now; two of them are a measure."""

    at_s: float
    cpu_s: float
    broker_cpu_s: float
    statements: int
    commits: int

    def since(self, before: Self) -> "Use":
        took_s = self.at_s - before.at_s
        return Use(
            seconds=took_s,
            cpu_share=(self.cpu_s - before.cpu_s) / took_s,
            broker_cpu_share=(self.broker_cpu_s - before.broker_cpu_s) / took_s,
            statements_per_s=(self.statements - before.statements) / took_s,
            commits_per_s=(self.commits - before.commits) / took_s,
        )


@dataclass(frozen=True, slots=True)
class Use:
    """Over some seconds; a share of 1 is one core."""

    seconds: float
    cpu_share: float
    broker_cpu_share: float
    statements_per_s: float
    commits_per_s: float


class Server:
    """Made by `serving`."""

    def __init__(self, port: int, running: Running, counters: Counters, broker_pid: int | None) -> None:
        self.url: Final = f"http://127.0.0.1:{port}"
        self._api: Final = Api(port)
        self._running: Final = running
        self._counters: Final = counters
        self._broker_pid: Final = broker_pid

    def now(self) -> Moment:
        statements, commits = self._counters.read()
        return Moment(
            time.monotonic(),
            proc.cpu_s(self._running.pid)[0],
            0.0 if self._broker_pid is None else proc.cpu_s(self._broker_pid)[0],
            statements,
            commits,
        )

    def resident_bytes(self) -> tuple[int, int]:
        """Of the bridge and of the broker."""
        return proc.resident_bytes(self._running.pid), (
            0 if self._broker_pid is None else proc.resident_bytes(self._broker_pid)
        )

    def push(self, due: datetime | None = None) -> tuple[str, float]:
        """A no-op for the crowd's tag: its id, and the moment (monotonic) at which it was asked for."""
        order = {"content": "true", "language": "bash", "tag": TAG}
        query = "" if due is None else "?" + urlencode({"scheduled_for": due.isoformat()})
        asked_s = time.monotonic()
        return self._api.call("POST", f"/api/w/main/jobs/run/preview{query}", order), asked_s

    def push_many(self, count: int, due_s: float) -> list[str]:
        """All due in the same moment, `due_s` from now."""
        due = datetime.now(UTC) + timedelta(seconds=due_s)
        with ThreadPoolExecutor(PUSHERS) as pool:
            return [job_id for job_id, _ in pool.map(self.push, [due] * count)]

    def agent_token(self) -> str:
        asked = {"worker_group": "crowd", "tags": [TAG], "exp": int(time.time()) + YEAR_S}
        return str(json.loads(self._api.call("POST", "/api/agent_workers/create_agent_token", asked)))

    def wait_until_up(self) -> None:
        """Logged in, and with its session with the broker if it has one. Raises `JobWentWrong`."""
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                login = {"email": EMAIL, "password": PASSWORD}
                self._api.token = self._api.call("POST", "/api/auth/login", login)
            except OSError:
                is_up = False
            else:
                is_up = self._broker_pid is None or "broker.up" in self._running.text()
            if is_up:
                return
            if time.monotonic() > deadline_s or not self._running.is_running():
                raise JobWentWrong(f"the bridge did not start:\n{self._running.text()[-2000:]}")
            time.sleep(PAUSE_S)


@contextmanager
def serving(folder: Path, settings: Mapping[str, str], broker_pid: int | None = None) -> Iterator[Server]:
    """A bridge on a store of its own. `settings`: of its environment, beside what every one needs."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True)
    (folder / "password").write_text(PASSWORD)
    counters = Counters(folder / "counters")
    env = surroundings() | {
        "BRIDGE_PORT": str(port),
        "STORE_KEY_FILE": str(folder / "key"),
        "ADMIN_PASSWORD_FILE": str(folder / "password"),
        "ADMISSIONS_PER_S": str(UNPACED),
        **settings,
    }
    if "AMQP_URL" in settings:
        env |= introduce(settings["AMQP_URL"], f"http://127.0.0.1:{port}", folder / "bridge.db")
    words = [sys.executable, "-m", "bench.support.counted", str(folder / "counters"), "serve"]
    with Running(words, env=env, log=folder / "log", cwd=ROOT) as running:
        server = Server(port, running, counters, broker_pid)
        server.wait_until_up()
        yield server
