"""Every state that a power cut can leave of a store's files, opened and judged, with a scoreboard.

python -m tests.crash_states [--work spool] [--rounds N] [--sabotage NAME] [--json]
"""

import argparse
import json
import sys

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import can_trace, record
from tests.crash_states.sabotage import SABOTAGES
from tests.crash_states.works import WORKS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_states", description=__doc__)
    parser.add_argument("--work", choices=sorted(WORKS), action="append", help="a store (all of them)")
    parser.add_argument("--rounds", type=int, default=4, metavar="N", help="how much work is recorded (4)")
    parser.add_argument(
        "--sabotage", choices=sorted(SABOTAGES), default="", help="break a promise on purpose"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    if not can_trace():
        print("strace is not here or may not trace; apt-get install strace", file=sys.stderr)
        return 2
    board = {name: _board(name, options.rounds, options.sabotage) for name in options.work or sorted(WORKS)}
    total = {key: sum(one[key] for one in board.values()) for key in ("states", "violations", "seconds")}
    if options.json:
        print(json.dumps({**total, "works": board}))
    return 1 if total["violations"] else 0


def _board(name: str, rounds: int, sabotage: str) -> dict[str, float]:
    findings = enumerate_states(name, rounds, record(name, rounds, sabotage))
    for violation in findings.violations:
        print(f"{name}: {violation}", flush=True)
    board = {
        "steps": findings.steps,
        "crash_points": findings.points,
        "states": findings.states,
        "violations": len(findings.violations),
        "seconds": round(findings.seconds, 1),
    }
    for key, value in board.items():
        print(f"{name:8} {key:14} {value}", flush=True)
    return board


if __name__ == "__main__":
    sys.exit(main())
