"""How fast a backlog of results leaves after an outage, beside the plainest publisher there is.

`./dev bench drain [--results N] [--runs N]`. Ours: the agent's own spool, reporter and link empty a prepared
spool into the results queue; each result is read, checked, published, confirmed and noted as sent on disk.
Beside it: the same results from memory, one in a message, by aio-pika, 50 confirms awaited at once.
Also: how long a real bridge takes to record a backlog that a real agent brings it.
"""

import argparse
import asyncio
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

from agent.progress import tracked
from agent.wire.routing import EVENTS, RESULTS
from bench.support import spools
from bench.support.draining import declare, drain, empty_queues, publish_singly
from bench.support.figures import ratio_line
from bench.support.recording import record_backlog
from bench.support.work import JobWentWrong
from dev_tools.broker import Broker, BrokerError, find
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.places import RUN
from dev_tools.stopping import stop_by_unwinding

SIZE: Final = 512  # bytes of a result's document
SINGLES: Final = 20_000  # enough for a steady rate
RECORDED: Final = 1000


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench drain", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=int, default=100_000, help="in the spool (100000)")
    parser.add_argument("--runs", type=int, default=3, help="of both sides, in turn (3)")
    parser.add_argument("--recorded", type=int, default=RECORDED, help=f"for the bridge ({RECORDED})")
    options = parser.parse_args(argv)
    stop_by_unwinding()
    folder = RUN / "bench" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        with find() as broker:
            print(f"RabbitMQ: {broker.kind}. {options.results} results of {SIZE} bytes.")
            if options.recorded:
                _record(broker, folder, options.recorded)
            _compare(broker, folder, options.results, options.runs)
    except (BrokerError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _record(broker: Broker, folder: Path, jobs: int) -> None:
    with fresh_vhost(broker) as amqp_url:
        seconds, down_s = record_backlog(amqp_url, folder / "recording", jobs)
    print(
        f"a real bridge records {jobs} results of a {down_s:.0f} s outage in {seconds:.2f} s"
        f" ({jobs / seconds:.0f} results/s), from the link's return"
    )


def _compare(broker: Broker, folder: Path, results: int, runs: int) -> None:
    ours, singly = [], []
    with fresh_vhost(broker) as amqp_url:
        asyncio.run(declare(amqp_url))
        for run in tracked("draining", range(runs)):
            spool = folder / f"spool-{run}"
            spools.fill(spool, results, size=SIZE)
            ours.append(asyncio.run(drain(spool, amqp_url)))
            asyncio.run(empty_queues(amqp_url, (RESULTS, EVENTS)))
            shutil.rmtree(spool)
            singly.append(asyncio.run(publish_singly(amqp_url, min(results, SINGLES), SIZE)))
            asyncio.run(empty_queues(amqp_url, (RESULTS,)))
    for name, rates in (("Orvanta Edge, spool to confirm", ours), ("aio-pika, one in a message", singly)):
        print(f"{name}: {median(rates):.0f} results/s ({min(rates):.0f}-{max(rates):.0f})")
    print(ratio_line("drain rate, Orvanta Edge / single publishes with confirms", ours, singly))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
