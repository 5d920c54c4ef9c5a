"""When a running job was last heard of. In memory: after a restart of ours everybody gets a fresh count."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.clock import Clock


@dataclass(frozen=True, slots=True)
class Heard:
    at_s: float  # monotonic: a jump of the wall clock makes nobody silent
    mem_peak_kb: int | None


class Heartbeats:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[str, Heard] = {}  # as many as there are running jobs

    def note(self, job_id: str, mem_peak_kb: int | None = None) -> None:
        before = self._heard.get(job_id)
        known_kb = None if before is None else before.mem_peak_kb
        peaks = [kb for kb in (mem_peak_kb, known_kb) if kb is not None]
        self._heard[job_id] = Heard(self._clock.monotonic_s(), max(peaks, default=None))

    def forget(self, job_id: str) -> None:
        self._heard.pop(job_id, None)

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
                self.note(job_id)
        now_s = self._clock.monotonic_s()
        return [job_id for job_id, most_s in running.items() if now_s - self._heard[job_id].at_s >= most_s]
