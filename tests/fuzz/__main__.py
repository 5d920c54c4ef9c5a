"""Wrong messages and requests, thousands of them, at the real code; and a scoreboard.

python -m tests.fuzz [--count N] [--seed S] [--target wire] [--sabotage NAME] [--json]
"""

import argparse
import contextlib
import logging
import os
import sys
import time
from typing import Final

from tests.fuzz import custody, requests, wire
from tests.fuzz.sabotage import SABOTAGES
from tests.fuzz.watching import Watching
from tests.support.scoreboard import Board, show

TARGETS: Final = {"wire": (wire.fuzz, 0.4), "custody": (custody.fuzz, 0.3), "requests": (requests.fuzz, 0.3)}
SHOWN_MAX: Final = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=3000, metavar="N", help="cases in all (3000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed asks the same (1)")
    parser.add_argument("--target", choices=TARGETS, help="one of them (all of them)")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="break a promise on purpose")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began_s = time.monotonic()
    with SABOTAGES[options.sabotage] if options.sabotage else contextlib.nullcontext():
        if options.target:
            watched = [fuzzed(options.target, options.count, options.seed)]
        else:
            watched = [
                fuzzed(name, round(options.count * share), options.seed)
                for name, (_, share) in TARGETS.items()
            ]
    board = board_of(watched, time.monotonic() - began_s)
    show(board, ends_with_json=options.json)
    return 1 if board["violations"] else 0


def fuzzed(target: str, count: int, seed: int) -> Watching:
    watching = Watching(target, count)
    watching.listen()
    fuzz, _ = TARGETS[target]
    fuzz(seed, watching)
    watching.look_at_memory()
    for violation in watching.violations[:SHOWN_MAX]:
        print(violation, flush=True)
    return watching


def board_of(watched: list[Watching], seconds: float) -> Board:
    said = [violation for one in watched for violation in one.violations]
    return {
        "cases": sum(one.cases for one in watched),
        "cases_by_target": {one.target: one.cases for one in watched},
        "violations": len(said),
        "violations_by_kind": {
            kind: sum(f": {kind}: " in violation for violation in said)
            for kind in ("crash", "hang", "slow", "leak", "flood")
        },
        "slowest_s": round(max(one.slowest_s for one in watched), 3),
        "grown_mb": {one.target: one.grown_mb for one in watched},
        "outcomes": {one.target: dict(one.outcomes.most_common()) for one in watched},
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # a set of texts has to have the same order in every run
        command = [sys.executable, "-m", "tests.fuzz", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 no shell is the point
    sys.exit(main())
