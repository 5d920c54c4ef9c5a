"""How many no-op jobs a second, how fast, and at how many bytes: Orvanta Edge beside Celery on one broker.

`./dev bench throughput [--quick] [--profile]`. Everything is durable on both sides: persistent messages in
quorum queues, publisher confirms, acknowledgements after custody (ours) or after the run (Celery's
`task_acks_late`), results in SQLite with a write-ahead log and `synchronous=FULL`. Both sides have two
slots. Celery does the work once with a process per job, as we do, and once more as a function call.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from agent.progress import tracked
from bench.support import proc
from bench.support.figures import percentile, ratio_line
from bench.support.folders import own_folder
from bench.support.measure import Burst, Measured
from bench.support.ours import Ours, ours
from bench.support.peers import Celery, celery
from bench.support.profiles import profile, show_way
from bench.support.work import FULL, QUICK, SLOTS, JobWentWrong, Plan, Work
from dev_tools.broker import Broker, BrokerError, find
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.stopping import stop_by_unwinding

WIDTH: Final = 110
Cell = tuple[str, Work]


@dataclass(slots=True)
class Seen:
    """Everything measured, by side and work, one entry a round."""

    bursts: dict[Cell, list[Burst]] = field(default_factory=lambda: defaultdict(list))
    latencies_ms: dict[Cell, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    agent_bytes: dict[Work, list[float]] = field(default_factory=lambda: defaultdict(list))

    def rates(self, cell: Cell) -> list[float]:
        return [burst.jobs_per_s for burst in self.bursts[cell]]

    def p50s_ms(self, cell: Cell) -> list[float]:
        return [percentile(round_, 50) for round_ in self.latencies_ms[cell]]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench throughput", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="half a minute instead of two")
    parser.add_argument("--profile", action="store_true", help="show where our time goes instead")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    stop_by_unwinding()
    try:
        with find() as broker, own_folder() as folder, ExitStack() as hosts:
            if options.profile:
                for work in Ours.works:
                    show_way(_host(broker, hosts), folder / work, work)
                profile(_host(broker, hosts), folder, Work.BASH, plan.burst[Work.BASH])
            else:
                _compare(broker, hosts, folder, plan)
    except (BrokerError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _compare(broker: Broker, hosts: ExitStack, folder: Path, plan: Plan) -> None:
    print(
        f"RabbitMQ: {broker.kind}. {SLOTS} slots a side. {plan.rounds} rounds, in turn; jobs a burst: "
        + ", ".join(f"{work} {jobs}" for work, jobs in plan.burst.items())
        + f"; latency at {plan.rate_per_s:g} jobs/s."
    )
    with (
        ours(_host(broker, hosts), folder / "ours") as edge,
        celery(_host(broker, hosts), folder / "celery") as peer,
    ):
        seen = _rounds(edge, peer, plan)
    _print_table(seen)
    _print_ratios(seen)


def _rounds(edge: Ours, peer: Celery, plan: Plan) -> Seen:
    seen = Seen()
    sides = [Measured(edge), Measured(peer)]
    for side in sides:
        side.warm_up()
    for _ in tracked("rounds", range(plan.rounds)):
        for work in Work:
            for measured in [one for one in sides if work in one.side.works]:
                cell = (measured.side.name, work)
                before = proc.written_bytes(edge.agent.pid)
                seen.bursts[cell].append(measured.burst(work, plan.burst[work]))
                if measured.side is edge:
                    written = proc.written_bytes(edge.agent.pid) - before
                    seen.agent_bytes[work].append(written / plan.burst[work])
                seen.latencies_ms[cell].append(measured.steady(work, plan.steady_jobs, plan.rate_per_s))
    return seen


def _print_table(seen: Seen) -> None:
    table = Table(title="medians; in brackets: the lowest and the highest round", title_justify="left")
    for heading in ("each job", "side", "jobs/s", "p50 ms", "p99 ms"):
        table.add_column(heading, no_wrap=True)
    table.add_column("CPU ms a job")
    for cell in sorted(seen.bursts, key=lambda one: (list(Work).index(one[1]), one[0] != Ours.name)):
        name, work = cell
        rates, pooled = seen.rates(cell), list(chain.from_iterable(seen.latencies_ms[cell]))
        table.add_row(
            str(work) if work is Work.IN_PROCESS else f"a {work} process",
            name,
            f"{median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f})",
            f"{median(seen.p50s_ms(cell)):.1f}",
            f"{percentile(pooled, 99):.1f}",
            _cpu(seen.bursts[cell]),
        )
    Console(width=WIDTH).print(table)
    for work, written in seen.agent_bytes.items():
        print(f"bytes written by the agent per {work} job: {median(written):.0f}")


def _cpu(bursts: Sequence[Burst]) -> str:
    parts = bursts[0].cpu_ms
    return ", ".join(f"{part} {median(burst.cpu_ms[part] for burst in bursts):.1f}" for part in parts)


def _print_ratios(seen: Seen) -> None:
    """The last lines, for people and machines: round by round, so that a slow minute hits both sides."""
    for work in Ours.works:
        us, them = (Ours.name, work), (Celery.name, work)
        own = (Celery.name, Work.IN_PROCESS)
        what = f"{work} jobs/s, Orvanta Edge /"
        print(ratio_line(f"{what} Celery with a process per job", seen.rates(us), seen.rates(them)))
        print(ratio_line(f"{what} Celery in process", seen.rates(us), seen.rates(own)))
        what = f"{work} p50 latency, Orvanta Edge /"
        print(ratio_line(f"{what} Celery with a process per job", seen.p50s_ms(us), seen.p50s_ms(them)))


def _host(broker: Broker, hosts: ExitStack) -> str:
    """A virtual host for each side, away from old queues. Without the management API: the given one."""
    if broker.management_url is None:
        print(
            "the broker's management API is out of reach: queues are made in the given virtual host and stay"
        )
        return broker.url
    return hosts.enter_context(fresh_vhost(broker))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
