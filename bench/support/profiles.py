"""Where our time goes: both of our processes under cProfile, for one burst."""

import pstats
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.support import proc
from bench.support.measure import Measured
from bench.support.ours import Ours, ours
from bench.support.way import way
from bench.support.work import Work

TOP: Final = 25
STEADY_JOBS: Final = 30
RATE_PER_S: Final = 10.0


def profile(amqp_url: str, folder: Path, work: Work, jobs: int) -> None:
    """Prints CPU per thread and the functions that took most. The profiler itself about doubles the cost."""
    files = {name: folder / f"{name}.prof" for name in ("bridge", "agent")}
    under = {name: ["-m", "cProfile", "-o", str(path)] for name, path in files.items()}
    with ours(amqp_url, folder / "profiled", under) as side:
        measured = Measured(side)
        measured.warm_up()
        before = _threads(side)
        burst = measured.burst(work, jobs)
        after = _threads(side)
    print(f"\nprofiled: {jobs} {work} jobs, {burst.jobs_per_s:.0f} jobs/s")
    for name, (main_s, others_s) in after.items():
        was = before[name]
        main_ms, others_ms = (main_s - was[0]) / jobs * 1000, (others_s - was[1]) / jobs * 1000
        print(f"  {name}: CPU ms per job: main thread {main_ms:.1f}, other threads {others_ms:.1f}")
    for name, path in files.items():
        for order in ("tottime", "cumtime"):
            _print(name, path, order)


def show_way(amqp_url: str, folder: Path, work: Work) -> None:
    """Prints where the time of a single job goes while nothing else waits. Without a profiler."""
    with ours(amqp_url, folder / "way") as side:
        measured = Measured(side)
        measured.warm_up()
        measured.steady(work, STEADY_JOBS, RATE_PER_S)
        steps = way(side.custody(), side.created_at(STEADY_JOBS))
    print(f"\na {work} job's way at {RATE_PER_S:g} jobs/s, median ms from step to step:")
    for words, took_ms in steps:
        print(f"{took_ms:8.1f}  {words}")


def _threads(side: Ours) -> dict[str, tuple[float, float]]:
    return {"bridge": proc.thread_cpu_s(side.bridge.pid), "agent": proc.thread_cpu_s(side.agent.pid)}


def _print(name: str, path: Path, order: str) -> None:
    """The main thread's functions, waiting left out."""
    rows = pstats.Stats(str(path)).get_stats_profile().func_profiles
    print(f"\n{name}, main thread, by {order}:")
    print(f"{'calls':>9} {'own s':>8} {'with callees s':>15}  function")
    ordered = sorted(rows.items(), key=lambda row: getattr(row[1], order), reverse=True)
    shown = [row for row in ordered if not _waits(row[0])][:TOP]
    for function, row in shown:
        place = f"{_short(row.file_name)}:{row.line_number} " if row.line_number else ""
        print(f"{row.ncalls:>9} {row.tottime:8.3f} {row.cumtime:15.3f}  {place}{function}")


def _waits(function: str) -> bool:
    return "select.epoll" in function


def _short(file_name: str) -> str:
    parts: Sequence[str] = Path(file_name).parts
    return "/".join(parts[-3:])
