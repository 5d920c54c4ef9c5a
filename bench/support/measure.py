"""Bursts and steady rates, in the same way on every side."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench.support.work import JobWentWrong, Side, Work

SUBMITTERS: Final = 8
LOOK_EVERY_S: Final = 0.02  # at a burst: how often the store is asked
WATCH_EVERY_S: Final = 0.003  # at a steady rate: the latencies are this exact
PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Burst:
    jobs: int
    seconds: float
    cpu_ms: dict[str, float]  # per job, by part

    @property
    def jobs_per_s(self) -> float:
        return self.jobs / self.seconds


class Measured:
    """A side, and how many jobs it has been given in all."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._total = 0

    def warm_up(self) -> None:
        """One job of each kind to its end: the start is not measured."""
        for work in self.side.works:
            self.side.submit(work)
            self._total += 1
        self._wait(lambda: self.side.are_recorded(self._total), LOOK_EVERY_S)

    def burst(self, work: Work, jobs: int) -> Burst:
        """From the first submission until the last result is recorded."""
        before = self.side.cpu_s()
        began_s = time.perf_counter()
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            ids = [one.result() for one in [pool.submit(self.side.submit, work) for _ in range(jobs)]]
        self._total += jobs
        self._wait(lambda: bool(self.side.recorded(ids[-1:])), LOOK_EVERY_S)  # cheap, and nearly the end
        self._wait(lambda: self.side.are_recorded(self._total), LOOK_EVERY_S)
        seconds = time.perf_counter() - began_s
        after = self.side.cpu_s()
        return Burst(jobs, seconds, {part: (after[part] - before[part]) / jobs * 1000 for part in after})

    def steady(self, work: Work, jobs: int, rate_per_s: float) -> list[float]:
        """Milliseconds from submission to recorded, one for each job, at a fixed rate."""
        out: dict[str, float] = {}
        took_ms: list[float] = []
        lock = threading.Lock()

        def watch() -> bool:
            with lock:
                ids = list(out)
            for job_id in self.side.recorded(ids):
                now_s = time.perf_counter()
                with lock:
                    took_ms.append((now_s - out.pop(job_id)) * 1000)
            return len(took_ms) == jobs

        def send() -> None:
            began_s = time.perf_counter()
            for number in range(jobs):
                time.sleep(max(0.0, began_s + number / rate_per_s - time.perf_counter()))
                submitted_s = time.perf_counter()
                job_id = self.side.submit(work)
                with lock:
                    out[job_id] = submitted_s

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            self._wait(watch, WATCH_EVERY_S)
            sending.result()
        self._total += jobs
        return took_ms

    def _wait(self, is_done: Callable[[], bool], every_s: float) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not is_done():
            if time.monotonic() > deadline_s:
                raise JobWentWrong(f"{self.side.name}: jobs were not recorded within {PATIENCE_S:g} s")
            time.sleep(every_s)
