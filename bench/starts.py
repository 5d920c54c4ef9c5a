"""What a python3 job costs to start: forked from a warm parent, beside a cold start and what is least.

`./dev bench starts [--jobs N] [--rounds N]`. One job at a time, from the call of the executor to its outcome,
with a folder, limits and a result of its own each; no spool and no link. Beside them the bare
`python3 -c pass`, and a bare fork() of a small interpreter with its end. The last line is the warm start over
the cold one.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import structlog

from agent.executor.limits import Limits
from agent.executor.process import Executor
from agent.executor.task import Stop, Task
from agent.progress import tracked
from bench.support.figures import percentile, ratio_line
from bench.support.folders import own_folder
from bench.support.work import JobWentWrong, surroundings
from dev_tools.stopping import stop_by_unwinding

CODE: Final = "import json, datetime\ndef main(n: int): return n + 1"
WARM_S: Final = 20.0
PARENT: Final = "zygote.py"
TELLS: Final = "def main(n: int): return open('/proc/self/cmdline').read()"
FORKS: Final = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    child = os.fork()
    if child == 0: os._exit(0)
    os.waitpid(child, 0)
    print(time.perf_counter() - began)
"""


class Starts:
    """Seconds of each job or process, by what was started."""

    def __init__(self, folder: Path) -> None:
        self._cold = Executor(folder / "cold", Limits())
        self._warm = Executor(folder / "warm", Limits(), warm=True)
        self._number = 0

    async def warm_up(self) -> None:
        end_s = time.monotonic() + WARM_S
        while PARENT not in await self._result(self._warm, TELLS):
            if time.monotonic() > end_s:
                raise JobWentWrong("no warm parent came up")

    async def cold_jobs(self, count: int) -> list[float]:
        return [await self._took_s(self._cold) for _ in range(count)]

    async def warm_jobs(self, count: int) -> list[float]:
        return [await self._took_s(self._warm) for _ in range(count)]

    def close(self) -> None:
        self._warm.close()

    async def _took_s(self, executor: Executor) -> float:
        began_s = time.perf_counter()
        result = await self._result(executor, CODE)
        took_s = time.perf_counter() - began_s
        if result != "8":
            raise JobWentWrong(f"a job returned {result}")
        return took_s

    async def _result(self, executor: Executor, code: str) -> str:
        self._number += 1
        task = Task(
            job_id=f"job-{self._number}", language="python3", code=code, args=b'{"n": 7}',
            env={"WM_TOKEN": "x"}, timeout_s=60.0, path="f/bench/start",
        )  # fmt: skip
        outcome = await executor.run(task, lambda _: None, Stop())
        return outcome.result.decode()


def bare_forks(count: int) -> list[float]:
    command = [sys.executable, "-c", FORKS, str(count)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=surroundings()).stdout
    return [float(line) for line in said.split()]


def bare_pythons(count: int) -> list[float]:
    took_s = []
    for _ in range(count):
        began_s = time.perf_counter()
        os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], surroundings()), 0)
        took_s.append(time.perf_counter() - began_s)
    return took_s


async def measured(folder: Path, jobs: int, rounds: int) -> dict[str, list[list[float]]]:
    """By what was started: of each round its seconds."""
    starts = Starts(folder)
    found: dict[str, list[list[float]]] = {
        "job, warm": [], "job, cold": [], "python3 -c pass": [], "fork() and exit": []
    }  # fmt: skip
    try:
        await starts.warm_up()
        for _ in tracked("rounds", range(rounds)):
            found["job, warm"].append(await starts.warm_jobs(jobs))
            found["job, cold"].append(await starts.cold_jobs(jobs))
            found["python3 -c pass"].append(bare_pythons(jobs))
            found["fork() and exit"].append(bare_forks(jobs))
    finally:
        starts.close()
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench starts", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=40, help="of each kind in each round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(argv)
    stop_by_unwinding()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # warnings
    try:
        with own_folder() as folder:
            found = asyncio.run(measured(folder, options.jobs, options.rounds))
    except JobWentWrong as error:
        print(error, file=sys.stderr)
        return 1
    for what, each in found.items():
        ms = [second * 1000 for one in each for second in one]
        print(f"{what}: p50 {percentile(ms, 50):.2f} ms, p90 {percentile(ms, 90):.2f} ms (n={len(ms)})")
    middles = {what: [median(one) for one in each] for what, each in found.items()}
    print(ratio_line("a warm job / python3 -c pass", middles["job, warm"], middles["python3 -c pass"]))
    print(ratio_line("a warm job / fork() and exit", middles["job, warm"], middles["fork() and exit"]))
    print(ratio_line("a python3 job, warm / cold", middles["job, warm"], middles["job, cold"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
