"""When a running job was last heard of, by this bridge or another.

In memory: after a restart of ours, or when what others heard may not have reached us, everybody gets a fresh
count.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from agent.clock import Clock
from bridge.jobs.news import Kind
from bridge.store.bulletin import Note


@dataclass(frozen=True, slots=True)
class Heard:
    at_s: float  # monotonic: a jump of the wall clock makes nobody silent
    mem_peak_kb: int | None


class Heartbeats:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[str, Heard] = {}  # as many as there are running jobs
        self._untold: dict[str, None] = {}  # what other bridges have not been told of: some of those
        self.news = asyncio.Event()  # there is something untold

    def note(self, job_id: str, mem_peak_kb: int | None = None) -> None:
        self._note(job_id, mem_peak_kb)
        self._untold[job_id] = None
        self.news.set()

    def note_of_another(self, told: str) -> None:
        """What another bridge has told by `untold`."""
        job_id, _, mem_peak_kb = told.partition(" ")
        self._note(job_id, int(mem_peak_kb) if mem_peak_kb.isdecimal() else None)

    def untold(self) -> list[Note]:
        """What was heard here since this was last called."""
        heard = [(job_id, self._heard[job_id].mem_peak_kb) for job_id in self._untold]
        self._untold.clear()
        self.news.clear()
        return [Note(Kind.ALIVE, job_id if kb is None else f"{job_id} {kb}") for job_id, kb in heard]

    def forget(self, job_id: str) -> None:
        self._heard.pop(job_id, None)
        self._untold.pop(job_id, None)

    def forget_all(self) -> None:
        for job_id in list(self._heard):
            self.forget(job_id)

    def last(self, job_id: str) -> Heard | None:
        return self._heard.get(job_id)

    def wall_s(self, job_id: str) -> float | None:
        """When the job was last heard of by the wall clock, for display."""
        heard = self._heard.get(job_id)
        if heard is None:
            return None
        return self._clock.wall_s() - (self._clock.monotonic_s() - heard.at_s)

    def silent(self, running: Mapping[str, float]) -> list[str]:
        """Which of the running jobs were not heard of for as many seconds. The rest is forgotten."""
        for job_id in [job_id for job_id in self._heard if job_id not in running]:
            self.forget(job_id)
        for job_id in running:
            if job_id not in self._heard:  # running since before we started: its silence begins now
                self._note(job_id, None)
        now_s = self._clock.monotonic_s()
        return [job_id for job_id, most_s in running.items() if now_s - self._heard[job_id].at_s >= most_s]

    def _note(self, job_id: str, mem_peak_kb: int | None) -> None:
        before = self._heard.get(job_id)
        known_kb = None if before is None else before.mem_peak_kb
        peaks = [kb for kb in (mem_peak_kb, known_kb) if kb is not None]
        self._heard[job_id] = Heard(self._clock.monotonic_s(), max(peaks, default=None))
