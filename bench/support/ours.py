"""Our side: a bridge and an agent as real processes, spoken to over the public jobs API."""

import http.client
import json
import secrets
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from agent import status
from bench.support import proc
from bench.support.work import SLOTS, SOURCE, JobWentWrong, Work, surroundings
from dev_tools.brokers.bridges import introduce
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running

TAG: Final = "bench"
START_S: Final = 20.0
REQUEST_S: Final = 30.0
KEPT_S: Final = 2.0  # the server closes what is idle for longer than a few seconds
PAUSE_S: Final = 0.05
PASSWORD: Final = secrets.token_urlsafe(12)
EMAIL: Final = "admin@orvanta.local"
JOBS: Final = "/api/w/main/jobs"


class Api:
    """The cluster's HTTP API, one kept connection per thread, by the cheapest client there is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._local = threading.local()
        self.token = ""

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """The answer's text. Raises `JobWentWrong` unless its status is 2xx, OSError."""
        kept = self._kept()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            kept.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = kept.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            kept.close()
            raise
        if not 200 <= answer.status < 300:
            raise JobWentWrong(f"{method} {path} was answered {answer.status}: {text}")
        return text

    def _kept(self) -> http.client.HTTPConnection:
        """This thread's connection; one that has been idle is opened anew by the next request."""
        mine = self._local
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_S)
        elif time.monotonic() - mine.used_s > KEPT_S:
            mine.connection.close()
        mine.used_s = time.monotonic()
        connection: http.client.HTTPConnection = mine.connection
        return connection


class Ours:
    name = "Orvanta Edge"
    works: Sequence[Work] = (Work.BASH, Work.PYTHON3)

    def __init__(self, api: Api, bridge: Running, agent: Running, spool: Path) -> None:
        self._api = api
        self.bridge = bridge
        self.agent = agent
        self.spool = spool

    def submit(self, work: Work, source: str | None = None, lock: str | None = None) -> str:
        order = {"content": source or SOURCE[work], "language": str(work), "tag": TAG, "lock": lock}
        return self._api.call("POST", f"{JOBS}/run/preview", order)

    def are_recorded(self, total: int) -> bool:
        """Asked for as page number `total` of a list with one job a page: one small answer."""
        found = self._api.call("GET", f"{JOBS}/completed/list?per_page=1&page={total}&success=true")
        if found != "[]":
            return True
        if (failed := self._api.call("GET", f"{JOBS}/completed/list?per_page=1&success=false")) != "[]":
            raise JobWentWrong(f"a no-op failed: {failed}")
        return False

    def recorded(self, job_ids: Sequence[str]) -> list[str]:
        return [one for one in job_ids if self._is_recorded(one)]

    def _is_recorded(self, job_id: str) -> bool:
        answer = self._api.call("GET", f"/api/w/main/jobs_u/completed/get_result_maybe/{job_id}")
        return bool(json.loads(answer)["completed"])

    def result(self, job: str) -> str:
        """The result's JSON, as the cluster gives it back."""
        return self._api.call("GET", f"/api/w/main/jobs_u/completed/get_result/{job}")

    def custody(self) -> list[dict[str, Any]]:
        """The bridge's ledger, a row for each job."""
        rows: list[dict[str, Any]] = json.loads(self._api.call("GET", "/api/custody"))["custody"]
        return rows

    def backlog(self) -> int:
        """Results that the agent has finished and not sent, as its spool says."""
        return int(status.read(self.spool)["backlog"])

    def created_at(self, newest: int) -> dict[str, str]:
        """When each of the newest jobs came into the cluster's queue, by id."""
        jobs = json.loads(self._api.call("GET", f"{JOBS}/completed/list?per_page={newest}"))
        return {job["id"]: job["created_at"] for job in jobs}

    def cpu_s(self) -> dict[str, float]:
        agent, jobs = proc.cpu_s(self.agent.pid)
        return {"bridge": proc.cpu_s(self.bridge.pid)[0], "agent": agent, "jobs": jobs}


@contextmanager
def ours(
    amqp_url: str,
    folder: Path,
    under: Mapping[str, Sequence[str]] | None = None,
    *,
    public_amqp_url: str | None = None,
    port: int | None = None,
    base_url: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[Ours]:
    """Both processes up and enrolled. `under`: words before `-m bridge` or `-m agent`, such as a profiler.

    `public_amqp_url`, `base_url`: the ways that the agent takes to the broker and to the bridge at `port`,
    when they are not the straight ones. `more`: of the bridge's settings.
    """
    under = under or {}
    port = port or free_ports(1)[0]
    folder.mkdir(parents=True)
    password = folder / "password"
    password.write_text(PASSWORD)
    plain = surroundings()
    bridge_env = plain | {
        "AMQP_URL": amqp_url,
        "BRIDGE_PORT": str(port),
        "BRIDGE_STORE": str(folder / "bridge.db"),
        "ADMIN_PASSWORD_FILE": str(password),
        "PUBLIC_AMQP_URL": public_amqp_url or amqp_url,
        **introduce(amqp_url, f"http://127.0.0.1:{port}", folder / "bridge.db"),
        **(more or {}),
    }
    bridge_words = [sys.executable, *under.get("bridge", ()), "-m", "bridge", "serve"]
    with Running(bridge_words, env=bridge_env, log=folder / "bridge.log", cwd=ROOT) as bridge:
        api = Api(port)
        agent_env = plain | {
            "AGENT_TOKEN": _agent_token(api, bridge),
            "BASE_INTERNAL_URL": base_url or f"http://127.0.0.1:{port}",
            "PYTHON_PATH": sys.executable,
        }
        spool = folder / "spool"
        agent_words = [sys.executable, *under.get("agent", ()), "-m", "agent"]
        agent_words += ["--spool", str(spool), "--slots", str(SLOTS)]
        with Running(agent_words, env=agent_env, log=folder / "agent.log", cwd=ROOT) as agent:
            yield Ours(api, bridge, agent, spool)


def _agent_token(api: Api, bridge: Running) -> str:
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            api.token = api.call("POST", "/api/auth/login", {"email": EMAIL, "password": PASSWORD})
            break
        except OSError:
            if time.monotonic() > deadline_s or not bridge.is_running():
                raise JobWentWrong(f"the bridge did not start:\n{bridge.text()[-2000:]}") from None
            time.sleep(PAUSE_S)
    asked = {"worker_group": "bench", "tags": [TAG], "exp": int(time.time()) + 86_400}
    return str(json.loads(api.call("POST", "/api/agent_workers/create_agent_token", asked)))
