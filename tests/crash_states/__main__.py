"""Every state that a power cut can leave of a store's files, opened and judged, with a scoreboard.

python -m tests.crash_states [--work spool] [--rounds N] [--second-cuts N] [--sabotage NAME] [--json]
"""

import argparse
import json
import sys
import time

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import can_trace, record
from tests.crash_states.sabotage import SABOTAGES
from tests.crash_states.second_cut import enumerate_second_cuts
from tests.crash_states.works import WORKS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_states", description=__doc__)
    parser.add_argument("--work", choices=sorted(WORKS), action="append", help="a store (all of them)")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="how much work is recorded (4)")
    parser.add_argument(
        "--second-cuts", type=int, default=20, metavar="N", help="starts of each kind that are cut off (20)"
    )
    parser.add_argument(
        "--sabotage", choices=sorted(SABOTAGES), default="", help="break a promise on purpose"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not can_trace():
        print("strace is not here or may not trace; apt-get install strace", file=sys.stderr)
        return 2
    board = {
        name: _board(name, options.rounds, options.second_cuts, options.sabotage)
        for name in options.work or sorted(WORKS)
    }
    summed = ("states", "second_states", "violations", "seconds")
    total = {key: sum(one[key] for one in board.values()) for key in summed}
    if options.json:
        print(json.dumps({**total, "works": board}))
    return 1 if total["violations"] else 0


def _board(name: str, rounds: int, second_cuts: int, sabotage: str) -> dict[str, float]:
    began_s = time.monotonic()
    steps = record(name, rounds, sabotage)
    findings = enumerate_states(name, rounds, steps)
    tallies = enumerate_second_cuts(name, rounds, steps, second_cuts, sabotage=sabotage)
    violations = [*findings.violations, *(flaw for tally in tallies for flaw in tally.flaws)]
    for violation in violations:
        print(f"{name}: {violation}", flush=True)
    board = {
        "steps": findings.steps,
        "crash_points": findings.points,
        "states": findings.states,
        "starts_cut_off": len(tallies),
        "second_points": sum(tally.points for tally in tallies),
        "second_states": sum(tally.states for tally in tallies),
        "violations": len(violations),
        "seconds": round(time.monotonic() - began_s, 1),
    }
    for key, value in board.items():
        print(f"{name:8} {key:14} {value}", flush=True)
    return board


if __name__ == "__main__":
    sys.exit(main())
