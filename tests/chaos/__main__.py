"""`./dev chaos`: real parts, real faults, and a count of every job from outside. A seed replays its plan."""

import argparse
import asyncio
import sys
import time
from typing import Final

from dev_tools.broker import Broker, BrokerError, find
from dev_tools.stopping import stop_by_unwinding
from tests.chaos.plan import KINDS
from tests.chaos.run import Run, Verdict, Wanted
from tests.chaos.stage import Stage
from tests.support.scoreboard import Board, scoreboard, show

MINUTES: Final = 1.0
JOBS_PER_MINUTE: Final = 2_100
FAULTS_PER_MINUTE: Final = 34
SHOWN_MAX: Final = 40
INTERRUPTED: Final = 130


def main() -> int:
    wanted, options = _asked()
    stop_by_unwinding()
    began_s = time.monotonic()
    try:
        with find() as broker:
            verdict, lacking = _run(broker, wanted, keep=options.keep)
    except BrokerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    board = board_of(verdict, lacking, time.monotonic() - began_s)
    for violation in verdict.violations[:SHOWN_MAX]:
        print(violation)
    show(board, ends_with_json=options.json)
    return 1 if verdict.violations else 0


def _run(broker: Broker, wanted: Wanted, *, keep: bool) -> tuple[Verdict, list[str]]:
    """The verdict, and the kinds of fault that cannot be had here. What a run with violations wrote stays."""
    stage = Stage(broker)
    try:
        with stage:
            for kind, why in stage.lacking.items():
                print(f"without {kind}: {why}", flush=True)
            print(f"RabbitMQ: {broker.kind}. seed={wanted.seed}. Logs: {stage.folder}", flush=True)
            verdict = asyncio.run(Run(stage, wanted, _say).whole())
        keep |= bool(verdict.violations)
    finally:
        if not keep:
            stage.remove_folder()
    return verdict, sorted(stage.lacking)


def board_of(verdict: Verdict, lacking: list[str], seconds: float) -> Board:
    """The keys that `./dev simulate` has too, and what only real parts have."""
    return scoreboard([verdict], seconds) | {
        "kinds_lacking": lacking,
        "starts": verdict.starts,
        "ends": dict(verdict.ends.most_common()),
    }


def _asked() -> tuple[Wanted, argparse.Namespace]:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help=f"how long faults happen ({MINUTES:g})"
    )
    parser.add_argument("--jobs", type=int, help=f"jobs to submit ({JOBS_PER_MINUTE} a minute)")
    parser.add_argument("--faults", type=int, help=f"faults to plan ({FAULTS_PER_MINUTE} a minute)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of plan and jobs (1)")
    parser.add_argument("--plan", action="store_true", help="only show the plan")
    parser.add_argument("--keep", action="store_true", help="keep logs and journals, as after a violation")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args()
    wanted = Wanted(
        seed=options.seed,
        minutes=options.minutes,
        jobs=options.jobs or max(1, round(JOBS_PER_MINUTE * options.minutes)),
        faults=options.faults or max(len(KINDS), round(FAULTS_PER_MINUTE * options.minutes)),
    )
    if options.plan:
        for fault in wanted.plan:
            print(f"{fault.at_s:7.2f} s  {fault.kind:22} {fault.whom:8} for {fault.lasts_s:5.2f} s")
        sys.exit(0)
    return wanted, options


def _say(text: str) -> None:
    print(f"\r{text}\033[K" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n",
          file=sys.stderr, flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
