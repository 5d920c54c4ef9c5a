"""What a bridge and its broker feel when a whole fleet comes back at once, with and without admission.

`./dev bench fleet [--agents N] [--per-s N] [--rounds N] [--quick]`. The agents are real links (the real
`Life`, a spool each, AMQP to a real RabbitMQ) in one process; the bridge is a process of its own. They are
thrown off in the same moment, and the clock stops when the last one is up. Meanwhile somebody uses the
bridge's API ten times a second. On a small machine the fleet's own processor time slows the storm down.
"""

import argparse
import json
import secrets
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from agent.progress import tracked
from bench.support import proc
from bench.support.child import Child
from bench.support.figures import percentile, ratio_line
from bench.support.folders import own_folder
from bench.support.ours import EMAIL, PASSWORD, Api
from bench.support.work import JobWentWrong, surroundings
from dev_tools.broker import BrokerError, find
from dev_tools.brokers.bridges import introduce
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running
from dev_tools.stopping import stop_by_unwinding

UNPACED: Final = 1_000_000
START_S: Final = 60.0
PAUSE_S: Final = 0.05
ASK_EVERY_S: Final = 0.1
SETTLE_S: Final = 6.0  # a link that was up for less is a flicker, and its agent backs off
NAMES: Final = {True: "with admission", False: "without"}


@dataclass(frozen=True, slots=True)
class Return:
    """One return of the fleet, in seconds since it was thrown off."""

    up: list[float]
    handshakes: list[tuple[float, float]]
    asked: int  # requests to enrol
    api_ms: list[float]
    bridge_cpu_s: float

    @property
    def worst_second(self) -> int:
        """The most links that came up in any stretch of one second."""
        return max(bisect_left(self.up, at_s + 1) - number for number, at_s in enumerate(self.up))

    @property
    def at_once(self) -> int:
        """The most agents that were busy with the broker's handshake at the same time."""
        steps = sorted(
            [(began_s, 1) for began_s, _ in self.handshakes] + [(up_s, -1) for _, up_s in self.handshakes]
        )
        most = now = 0
        for _, step in steps:
            now += step
            most = max(most, now)
        return most


class Asking:
    """Somebody who uses the API all the time, and how long each answer took."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._end = threading.Event()
        self.took_ms: Final[list[float]] = []
        self._thread: Final = threading.Thread(target=self._run, name="asking")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(ASK_EVERY_S):
            began_s = time.perf_counter()
            self._api.call("GET", "/api/w/main/jobs/list?per_page=10")
            self.took_ms.append((time.perf_counter() - began_s) * 1000)


class Bridge:
    """A bridge that is started anew, at the same place, for each pace."""

    def __init__(self, folder: Path, amqp_url: str) -> None:
        (self._port,) = free_ports(1)
        self.url: Final = f"http://127.0.0.1:{self._port}"
        self.api: Final = Api(self._port)
        self._folder: Final = folder
        self._running: Running | None = None
        folder.mkdir(parents=True)
        (folder / "password").write_text(PASSWORD)
        self._env: Final = surroundings() | {
            "AMQP_URL": amqp_url,
            "BRIDGE_PORT": str(self._port),
            "BRIDGE_STORE": str(folder / "bridge.db"),
            "ADMIN_PASSWORD_FILE": str(folder / "password"),
            **introduce(amqp_url, self.url, folder / "bridge.db"),
        }

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def start(self, per_s: int) -> None:
        """Returns when it answers and has its session with the broker."""
        self.stop()
        log = self._folder / f"log-{secrets.token_hex(4)}"
        env = self._env | {"ADMISSIONS_PER_S": str(per_s)}
        self._running = Running([sys.executable, "-m", "bridge", "serve"], env=env, log=log, cwd=ROOT)
        deadline_s = time.monotonic() + START_S
        while "broker.up" not in self._running.text():
            if time.monotonic() > deadline_s or not self._running.is_running():
                raise JobWentWrong(f"the bridge did not start:\n{self._running.text()[-2000:]}")
            time.sleep(PAUSE_S)
        self.api.token = ""
        self.api.token = self.api.call("POST", "/api/auth/login", {"email": EMAIL, "password": PASSWORD})

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()

    def agent_token(self) -> str:
        asked = {"worker_group": "fleet", "tags": ["bench"], "exp": int(time.time()) + 86_400}
        return str(json.loads(self.api.call("POST", "/api/agent_workers/create_agent_token", asked)))


class Fleet:
    """The other end of `bench.support.returning`."""

    def __init__(self, folder: Path, bridge: Bridge, size: int) -> None:
        words = ["bench.support.returning", str(folder), bridge.url, str(size)]
        self._child = Child(words, folder.with_name("fleet.log"))
        self._child.said(bridge.agent_token())

    def come_back(self) -> dict[str, Any]:
        return self._child.said("again")

    def close(self) -> None:
        self._child.close(START_S)

    def kill(self) -> None:
        self._child.kill()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench fleet", description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--per-s", type=int, default=50, help="ADMISSIONS_PER_S of the paced returns")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="100 agents at 20 a second, one round")
    options = parser.parse_args(argv)
    if options.quick:
        options.agents, options.per_s, options.rounds = 100, 20, 1
    stop_by_unwinding()
    try:
        with find() as broker, fresh_vhost(broker) as amqp_url, own_folder() as folder:
            print(f"RabbitMQ: {broker.kind}. {options.agents} agents, {options.rounds} rounds in turn.")
            seen = _rounds(folder, amqp_url, options)
    except (BrokerError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    _print_ratios(seen)
    return 0


def _rounds(folder: Path, amqp_url: str, options: argparse.Namespace) -> dict[bool, list[Return]]:
    seen: dict[bool, list[Return]] = {True: [], False: []}
    bridge = Bridge(folder / "bridge", amqp_url)
    bridge.start(options.per_s)
    try:
        fleet = Fleet(folder / "fleet", bridge, options.agents)
        try:
            for is_paced in tracked("returns of the fleet", (True, False) * options.rounds):
                bridge.start(options.per_s if is_paced else UNPACED)
                time.sleep(SETTLE_S)
                seen[is_paced].append(_one(bridge, fleet))
                _print_return(NAMES[is_paced], seen[is_paced][-1])
            fleet.close()
        except BaseException:
            fleet.kill()
            raise
    finally:
        bridge.stop()
    return seen


def _one(bridge: Bridge, fleet: Fleet) -> Return:
    before_s, _ = proc.cpu_s(bridge.pid)
    with Asking(bridge.api) as asking:
        told = fleet.come_back()
    after_s, _ = proc.cpu_s(bridge.pid)
    return Return(
        up=told["up"],
        handshakes=[(began_s, up_s) for began_s, up_s in told["handshakes"]],
        asked=len(told["admitted"]) + told["told_to_wait"] + told["unreached"],
        api_ms=asking.took_ms,
        bridge_cpu_s=after_s - before_s,
    )


def _print_return(name: str, seen: Return) -> None:
    print(
        f"\n{name}: all up after {seen.up[-1]:.1f} s; {seen.worst_second} links in the worst second, "
        f"{seen.at_once} handshakes at once; {seen.asked} requests to enrol\n"
        f"  bridge: {seen.bridge_cpu_s:.1f} s of CPU; its API meanwhile: "
        f"p50 {percentile(seen.api_ms, 50):.0f} ms, p99 {percentile(seen.api_ms, 99):.0f} ms, "
        f"worst {max(seen.api_ms):.0f} ms"
    )
    by_second = Counter(int(at_s) for at_s in seen.up)
    print(
        "  links up in each second: "
        + " ".join(str(by_second[second]) for second in range(int(seen.up[-1]) + 1))
    )


def _print_ratios(seen: dict[bool, list[Return]]) -> None:
    paced, unpaced = seen[True], seen[False]

    def line(what: str, value: Any) -> None:
        print(
            ratio_line(
                f"{what}, without / with admission", list(map(value, unpaced)), list(map(value, paced))
            )
        )

    print()
    line("time until all are up", lambda one: one.up[-1])
    line("links in the worst second", lambda one: one.worst_second)
    line("the API's p99 meanwhile", lambda one: percentile(one.api_ms, 99))
    line("handshakes at once", lambda one: one.at_once)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
