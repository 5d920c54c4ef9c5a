"""What thousands of idle agents cost a bridge, and how soon they have a job: over HTTP, AMQP, and by polling.

`./dev bench agents [--agents N …] [--store sqlite|postgresql] [--minutes M] [--json] [--quick]`. In each
round a bridge of its own serves N agents of one kind: our HTTP link (a pull that waits 30 s), our link over
RabbitMQ, or the original's pattern (a pull a second, a ping every 5 s). They join, idle, are given single
jobs, and then a burst that becomes due in one moment. The crowd is one process of real protocol speakers;
statements are counted in the bridge, where they meet the database. Ends within M minutes: rounds that no
longer fit are left out, and named.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.support.child import Child
from bench.support.figures import percentile
from bench.support.folders import own_folder
from bench.support.served import TAG, Server, Use, serving
from bench.support.work import JobWentWrong
from dev_tools.broker import BrokerError, find
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.database import DatabaseError, DatabaseServer
from dev_tools.database import find as find_database
from dev_tools.databases.server import DURABLE
from dev_tools.expected import expected
from dev_tools.stopping import stop_by_unwinding

WAYS: Final = {"http": "HTTP long poll", "amqp": "AMQP", "polling": "the original's polling"}
SETTLE_S: Final = 5.0
NOBODY_S: Final = 10.0  # how long a bridge without agents is watched
SINGLE_EVERY_S: Final = 0.1
BURST_DUE_S: Final = 3.0  # more than the pushing takes
LOOK_EVERY_S: Final = 0.1
JOIN_S: Final = 600.0
HOME_S: Final = 120.0  # until every job of a phase has come to an agent
POLLERS_MAX: Final = 1000  # 1,200 requests a second: more than a bridge can answer says nothing of idling
PER: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What N agents of one way did to the server."""

    way: str
    agents: int
    joined_s: float
    idle: Use
    nobody: Use  # the same bridge before they came
    memory_bytes: int  # that the bridge took for them
    broker_memory_bytes: int
    pickup_ms: list[float]  # from the asking for a job until an agent has it
    pulls_per_s: float
    failures: int

    def cpu_per_thousand(self) -> float:
        """Shares of a core for 1,000 idle agents: the bridge's, above what it takes for nobody."""
        return (self.idle.cpu_share - self.nobody.cpu_share) * PER / self.agents

    def broker_cpu_per_thousand(self) -> float:
        return (self.idle.broker_cpu_share - self.nobody.broker_cpu_share) * PER / self.agents

    def figures(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "cpu_per_thousand": self.cpu_per_thousand(),
            "broker_cpu_per_thousand": self.broker_cpu_per_thousand(),
            "pickup_p50_ms": percentile(self.pickup_ms, 50),
            "pickup_p99_ms": percentile(self.pickup_ms, 99),
        }


class Crowd:
    """The other end of `bench.support.crowd`."""

    def __init__(self, way: str, server: Server, size: int, log: Path) -> None:
        self._child = Child(["bench.support.crowd", way, server.url, str(size)], log)
        self.failures = 0
        self._came: dict[str, float] = {}
        began_s = time.monotonic()
        self._child.said(json.dumps([server.agent_token(), [TAG]]))
        self.joined_s = time.monotonic() - began_s

    def all_came(self, job_ids: Sequence[str]) -> dict[str, float]:
        """When an agent had each of these jobs (monotonic). Raises `JobWentWrong`."""
        deadline_s = time.monotonic() + HOME_S
        while True:
            told = self._child.said("came")
            self._came |= told["jobs"]
            self.failures = told["failures"]
            missing = [job_id for job_id in job_ids if job_id not in self._came]
            if not missing:
                return {job_id: self._came[job_id] for job_id in job_ids}
            if time.monotonic() > deadline_s:
                raise JobWentWrong(f"{len(missing)} of {len(job_ids)} jobs did not come within {HOME_S:g} s")
            time.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        self._child.kill()  # nobody is waited for


class Bench:
    def __init__(
        self,
        options: argparse.Namespace,
        broker: Broker,
        database: DatabaseServer | None,
        console: Console,
    ) -> None:
        self._options = options
        self._broker = broker
        self._database = database
        self._console = console
        self._ends_s = time.monotonic() + options.minutes * 60
        self.rounds: list[Round] = []
        self.left_out: list[str] = []

    def run(self) -> None:
        slowest_s: dict[str, float] = {}  # of a round, for each agent of it
        for agents, way in product(self._options.agents, self._options.ways):
            name = f"{agents} agents, {WAYS[way]}"
            usual_s = self._expected_s(agents, slowest_s.get(way, 0.0))
            fits = time.monotonic() + usual_s < self._ends_s
            if not fits or (way == "polling" and agents > POLLERS_MAX):
                self.left_out.append(name)
                continue
            began_s = time.monotonic()
            with expected(name, usual_s):
                self.rounds.append(self._round(way, agents))
            slowest_s[way] = self.rounds[-1].joined_s / agents
            self._console.print(f"{name}: {time.monotonic() - began_s:.0f} s", highlight=False)

    def _expected_s(self, agents: int, join_s: float) -> float:
        quiet_s = NOBODY_S + SETTLE_S + self._options.idle_s + self._options.singles * SINGLE_EVERY_S
        return quiet_s + BURST_DUE_S + agents * join_s * 1.5

    def _round(self, way: str, agents: int) -> Round:
        with own_folder() as folder, self._server(way, folder / "bridge") as server:
            before = server.now()
            time.sleep(NOBODY_S)
            nobody = server.now().since(before)
            memory, broker_memory = server.resident_bytes()
            crowd = Crowd(way, server, agents, folder / "crowd.log")
            try:
                time.sleep(SETTLE_S)
                before = server.now()
                time.sleep(self._options.idle_s)
                idle = server.now().since(before)
                memory_then, broker_memory_then = server.resident_bytes()
                return Round(
                    way=way,
                    agents=agents,
                    joined_s=crowd.joined_s,
                    idle=idle,
                    nobody=nobody,
                    memory_bytes=memory_then - memory,
                    broker_memory_bytes=broker_memory_then - broker_memory,
                    pickup_ms=_pickup_ms(server, crowd, self._options.singles),
                    pulls_per_s=_pulls_per_s(server, crowd, self._options.burst),
                    failures=crowd.failures,
                )
            finally:
                crowd.close()

    @contextmanager
    def _server(self, way: str, folder: Path) -> Iterator[Server]:
        with ExitStack() as stack:
            settings = {"BRIDGE_STORE": str(folder / "bridge.db")}
            if self._database is not None:
                name = stack.enter_context(self._database.fresh())
                settings = {"DATABASE_URL": self._database.url(name)}
            if way == "amqp":
                settings["AMQP_URL"] = stack.enter_context(fresh_vhost(self._broker))
            broker_pid = self._broker.pid if way == "amqp" else None
            yield stack.enter_context(serving(folder, settings, broker_pid))


def _pickup_ms(server: Server, crowd: Crowd, jobs: int) -> list[float]:
    asked: dict[str, float] = {}
    for _ in range(jobs):
        job_id, asked_s = server.push()
        asked[job_id] = asked_s
        time.sleep(SINGLE_EVERY_S)
    came = crowd.all_came(list(asked))
    return [(came[job_id] - asked_s) * 1000 for job_id, asked_s in asked.items()]


def _pulls_per_s(server: Server, crowd: Crowd, jobs: int) -> float:
    """Of a burst that becomes due in one second, from its first job at an agent to its last."""
    came = sorted(crowd.all_came(server.push_many(jobs, BURST_DUE_S)).values())
    return (len(came) - 1) / (came[-1] - came[0])


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    stop_by_unwinding()
    console = Console(stderr=True)
    try:
        with find() as broker, _database(options.store) as database:
            bench = Bench(options, broker, database, console)
            bench.run()
    except (BrokerError, DatabaseError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"rounds": [one.figures() for one in bench.rounds], "left_out": bench.left_out}))
    else:
        _print(bench)
    return 0


def _database(store: str) -> AbstractContextManager[DatabaseServer | None]:
    return nullcontext() if store == "sqlite" else find_database(DURABLE)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench agents", description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--minutes", type=float, default=15.0, help="no round begins that would end later")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="100 agents of each kind; four minutes")
    options = parser.parse_args(argv)
    options.idle_s, options.singles, options.burst = (30.0, 20, 200) if options.quick else (60.0, 100, 2000)
    if options.quick:
        options.agents = [100]
    return options


def _print(bench: Bench) -> None:
    for one in bench.rounds:
        print(
            f"\n{one.agents} agents, {WAYS[one.way]} (joined in {one.joined_s:.0f} s"
            + (f"; {one.failures} requests failed" if one.failures else "")
            + ")\n"
            f"  for 1,000 idle agents: {one.cpu_per_thousand() * 100:.1f} % of a core in the bridge"
            + (f", {one.broker_cpu_per_thousand() * 100:.1f} % in RabbitMQ" if one.way == "amqp" else "")
            + f"; an agent: {one.memory_bytes / one.agents / 1024:.0f} KiB in the bridge"
            + (
                f", {one.broker_memory_bytes / one.agents / 1024:.0f} KiB in RabbitMQ"
                if one.way == "amqp"
                else ""
            )
            + f"\n  idle: {one.idle.statements_per_s:.1f} statements, {one.idle.commits_per_s:.1f} commits "
            f"a second ({one.nobody.statements_per_s:.1f} and {one.nobody.commits_per_s:.1f} for nobody)\n"
            f"  a job is with an agent after {percentile(one.pickup_ms, 50):.1f} ms (p50), "
            f"{percentile(one.pickup_ms, 99):.1f} ms (p99); {one.pulls_per_s:.0f} pulls a second in a burst"
        )
    print()
    for one in bench.rounds:
        poller = next(
            (each for each in bench.rounds if each.way == "polling" and each.agents <= one.agents), None
        )
        if one.way != "polling" and poller is not None:
            _print_ratios(one, _poller_like(bench.rounds, one.agents))
    if bench.left_out:
        print(
            "left out for time, or because it is more than a bridge can answer: " + "; ".join(bench.left_out)
        )


def _poller_like(rounds: Sequence[Round], agents: int) -> Round:
    """The round of polling with as many agents, or with the most."""
    polling = [one for one in rounds if one.way == "polling"]
    return next((one for one in polling if one.agents == agents), polling[-1])


def _print_ratios(one: Round, poller: Round) -> None:
    print(
        f"the original's polling ({poller.agents} agents) / {WAYS[one.way]} ({one.agents}): "
        f"bridge CPU for each idle agent {_ratio(poller.cpu_per_thousand(), one.cpu_per_thousand())}, "
        f"pickup p50 {_ratio(percentile(poller.pickup_ms, 50), percentile(one.pickup_ms, 50))}, "
        f"p99 {_ratio(percentile(poller.pickup_ms, 99), percentile(one.pickup_ms, 99))}"
    )


def _ratio(over: float, under: float) -> str:
    return f"{over / under:.1f}x" if under > 0 else "beyond measure"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
