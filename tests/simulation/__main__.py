"""`./dev simulate`: days of faults in seconds, and a scoreboard. A seed replays its history exactly."""

import argparse
import gc
import logging
import os
import sys
import time
from typing import Final

import structlog

from agent.progress import tracked
from tests.simulation.world import Verdict, World
from tests.support.scoreboard import Board, scoreboard, show

JOBS: Final = 100
FAULTS: Final = 60
GARBAGE: Final = 50_000  # objects made since the last look for cycles: a history leaves few, and makes many
SHOWN_MAX: Final = 20
SABOTAGES: Final = ("cluster_forgets", "disk_lies", "executor_repeats", "deadlines_lie")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="histories to run (100)")
    parser.add_argument("--first", type=int, default=1, metavar="S", help="the first seed (1)")
    parser.add_argument(
        "--seed", type=int, metavar="S", help="replay one history, with the log of all parties"
    )
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs in a history ({JOBS})")
    parser.add_argument("--faults", type=int, default=FAULTS, help=f"faults in a history ({FAULTS})")
    parser.add_argument("--mixed", action="store_true", help="agents of a tag run different languages")
    parser.add_argument("--sabotage", choices=SABOTAGES, default="", help="break a promise on purpose")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    _quiet(talks=options.seed is not None)
    seeds = (
        [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    )
    gc.freeze()
    gc.set_threshold(GARBAGE)
    began_s = time.monotonic()
    verdicts = []
    for seed in tracked("histories", seeds):
        world = World(
            seed,
            jobs=options.jobs,
            faults=options.faults,
            sabotage=options.sabotage,
            is_mixed=options.mixed,
        )
        verdict = world.run()
        verdicts.append(verdict)
        for violation in verdict.violations[:SHOWN_MAX]:
            print(f"seed {seed}: {violation}", flush=True)
    board = board_of(verdicts, time.monotonic() - began_s)
    show(board, ends_with_json=options.json)
    return 1 if board["violations"] else 0


def board_of(verdicts: list[Verdict], seconds: float) -> Board:
    """The keys that `./dev chaos` has too, and what only virtual time has."""
    board = scoreboard(verdicts, seconds)
    return board | {
        "virtual_days": round(sum(verdict.virtual_s for verdict in verdicts) / 86_400, 2),
        "trace": verdicts[-1].trace if len(verdicts) == 1 else "",
        "job_histories_per_minute": round(60 * board["jobs"] / max(seconds, 0.01)),
    }


def _quiet(*, talks: bool) -> None:
    logging.disable(logging.CRITICAL)
    level = logging.DEBUG if talks else logging.CRITICAL
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level), cache_logger_on_first_use=True
    )


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # a set of texts has to have the same order in every run
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 no shell is the point
    sys.exit(main())
