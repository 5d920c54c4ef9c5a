"""Whether the spool costs the same however much it holds, and how fast an agent starts on a full one.

`./dev bench spool [--quick]`. The last line is the cost of a job with a million results kept over that with a
thousand: 1 is flat. All of it is the real book, spool and agent on this disk.
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
from bench.support import spools
from bench.support.cold_start import first_effect_s, idle_rss_mb, remember_enrolment
from bench.support.figures import ratio_line
from bench.support.spool_costs import SIZE, Cost, job_cost, seen_mb, unstarted_cost_us
from bench.support.work import JobWentWrong
from dev_tools.places import RUN
from dev_tools.stopping import stop_by_unwinding

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = (1_000, 100_000)
RUNS: Final = 5
JOBS: Final = 1000  # a run
GIGABYTE_OF: Final = 200_000  # results of
BYTES: Final = 4096  # each
SETTLE_S: Final = 3.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench spool", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="up to 100,000 entries, a tenth of a gigabyte")
    options = parser.parse_args(argv)
    sizes = QUICK_SIZES if options.quick else SIZES
    stop_by_unwinding()
    folder = RUN / "bench" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        _cold_start(folder / "cold", GIGABYTE_OF // (10 if options.quick else 1))
        print(f"dedupe memory of 100,000 jobs: {seen_mb(folder / 'seen', 100_000):.1f} MB")
        _unstarted(sizes)
        _flat(folder, sizes)
    except JobWentWrong as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _cold_start(folder: Path, results: int) -> None:
    """The full spool and a nearly empty one in turn, so that a busy machine is not taken for a slow start."""
    effect = folder.with_name("effect")
    few, full = folder / "few", folder / "full"
    for spool, count in ((few, RUNS), (full, results)):
        spools.fill(spool, count, size=BYTES, ready=200 * RUNS, code=f"touch {effect}")
        remember_enrolment(spool)
    seconds: dict[Path, list[float]] = {few: [], full: []}
    for _ in tracked("cold starts", range(RUNS)):
        for spool, took in seconds.items():
            took.append(first_effect_s(spool, effect))
            effect.unlink()
    for spool, took in seconds.items():
        size_gb = (spool / "spool.db").stat().st_size / 1e9
        print(
            f"cold start without a link, {size_gb:.2f} GB of results kept, to the first job's effect: "
            f"{median(took):.2f} s ({min(took):.2f}-{max(took):.2f}, n={RUNS})"
        )
    print(ratio_line("cold start, full / nearly empty spool", seconds[full], seconds[few]))
    shutil.rmtree(folder)


def _unstarted(sizes: Sequence[int]) -> None:
    for held in sizes:
        print(f"{held:>9} unstarted jobs held: {unstarted_cost_us(held, JOBS * 10):.1f} µs a job in memory")


def _flat(folder: Path, sizes: Sequence[int]) -> None:
    costs: dict[int, list[Cost]] = {size: [] for size in sizes}
    for size in tracked("filling spools", sizes):
        spools.fill(folder / str(size), size, size=SIZE)
    for _ in tracked("runs of jobs", range(RUNS)):
        for size in sizes:
            costs[size].append(asyncio.run(job_cost(folder / str(size), JOBS)))
    for size, runs in costs.items():
        print(
            f"{size:>9} results kept: {median(one.wall_us for one in runs):.0f} µs a job, "
            f"{median(one.cpu_us for one in runs):.0f} µs of CPU, "
            f"{median(one.written_bytes for one in runs):.0f} bytes written"
        )
    last = folder / str(sizes[-1])
    remember_enrolment(last)
    print(f"idle agent with {sizes[-1]} results kept: {idle_rss_mb(last, SETTLE_S):.0f} MB resident")
    written = [[one.written_bytes for one in costs[size]] for size in (sizes[-1], sizes[0])]
    print(ratio_line(f"bytes written a job, {sizes[-1]} / {sizes[0]} results kept", *written))
    cpu = [[one.cpu_us for one in costs[size]] for size in (sizes[-1], sizes[0])]
    print(ratio_line(f"CPU a job, {sizes[-1]} / {sizes[0]} results kept", *cpu))
    wall = [[one.wall_us for one in costs[size]] for size in (sizes[-1], sizes[0])]
    print(ratio_line(f"time a job, {sizes[-1]} / {sizes[0]} results kept", *wall))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
