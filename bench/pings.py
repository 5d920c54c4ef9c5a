"""What it costs a bridge, and its cluster, to answer for thousands of jobs that are out.

`./dev bench pings [--jobs N] [--rounds N]`. The real `Watch` and `HTTPSource` in this process, a ledger with
that many jobs, and a cluster of the agent API in a process of its own. It says when it was asked about what.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from agent.clock import SystemClock
from agent.logs import Secret
from agent.wire.claims import Attempt, JobId, Tag
from bench.support.figures import percentile, ratio_line
from bench.support.folders import own_folder
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.http import HTTPSource
from bridge.relay.watch import PINGS_PER_S, Watch
from bridge.store.connection import open_store
from bridge.upstream import Upstream
from dev_tools.expected import expected
from dev_tools.places import ROOT

JOBS: Final = 5000
ROUNDS: Final = 4  # intervals; the first, in which everything is new, is not counted


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench pings")
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(argv)
    command = [sys.executable, "-m", "bench.support.pinged", str(options.jobs), str(options.rounds)]
    with (
        own_folder() as folder,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cluster,
    ):
        assert cluster.stdout is not None
        about = json.loads(cluster.stdout.readline())
        began_s = time.process_time()
        with expected("pinging", options.rounds * options.jobs / PINGS_PER_S):
            told = asyncio.run(_watch(folder, about, cluster))
        cpu_s = time.process_time() - began_s
    _print(told["asked"], options.jobs, cpu_s, told["cpu_s"])
    return 0


async def _watch(folder: Path, about: dict[str, Any], cluster: subprocess.Popen[str]) -> dict[str, Any]:
    """Ping until the cluster has seen enough; what it saw."""
    store, clock = await open_store(folder / "relay.db"), SystemClock()
    ledger, upstream = Ledger(store, clock), Upstream(about["url"], clock)
    source = HTTPSource(upstream, [Secret(about["token"])], "bench", ledger, clock)
    async with asyncio.TaskGroup() as group:  # their commits share an fsync
        for job_id in about["jobs"]:
            group.create_task(ledger.take(_custody(job_id), b""))
    recorder = Recorder(source, ledger, clock)
    lost, signer = Lost(recorder, ledger, clock, Policies()), await Signer.load(ledger)
    watch = Watch(source, ledger, lambda: None, clock, lost, recorder, signer)
    pinging = asyncio.create_task(watch.run(), name="watch")
    told: dict[str, Any] = json.loads(await asyncio.to_thread(cluster.stdout.readline))
    pinging.cancel()
    await asyncio.wait([pinging])
    await upstream.close()
    await store.close()
    return told


def _custody(job_id: str) -> Custody:
    return Custody(
        job_id=JobId(job_id), attempt=Attempt(1), workspace="main", tag=Tag("bash"), token="", job_json="{}"
    )


def _print(asked: list[tuple[float, str]], jobs: int, cpu_s: float, cluster_cpu_s: float) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    for at_s, job_id in asked:
        times[job_id].append(at_s)
    gaps = [later - earlier for one in times.values() for earlier, later in pairwise(one)]
    at_s = [at_s for at_s, _ in asked]
    took_s = at_s[-1] - at_s[0]
    rounds = [at_s[start : start + jobs] for start in range(jobs, len(at_s) - jobs + 1, jobs)]
    worst = [max(bisect_left(one, begin + 1) - place for place, begin in enumerate(one)) for one in rounds]
    even = [len(one) / (one[-1] - one[0]) for one in rounds]
    print(
        f"{jobs} jobs: {len(asked)} pings in {took_s:.1f} s ({len(asked) / took_s:.0f} a second); "
        f"{max(worst)} in the worst second\n"
        f"each job: asked about every {percentile(gaps, 50):.1f} s (p50), {max(gaps):.1f} s at most\n"
        f"CPU: bridge {cpu_s / took_s * 100:.0f} % of a core ({cpu_s / len(asked) * 1000:.2f} ms a ping), "
        f"cluster {cluster_cpu_s / took_s * 100:.0f} %\n"
    )
    print(ratio_line("pings in the worst second / in an even one", worst, even))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
