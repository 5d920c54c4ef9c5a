"""Every moment of a recording, every state that a power cut can leave in it, each opened and judged."""

import asyncio
import logging
import multiprocessing
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from tests.crash_states.disk import CrashState, Disk
from tests.crash_states.judge import Claim, fast_folder, flaws_of
from tests.crash_states.operations import Mark, Step
from tests.crash_states.work import Work, expected
from tests.crash_states.works import WORKS

PROCESSES: Final = min(2, os.cpu_count() or 1)
POINTS_MAX: Final = 8  # in one piece: a state may be tried once in each of two pieces, which costs little
SHOWN_MAX: Final = 5  # flaws kept of one moment


@dataclass(frozen=True, slots=True)
class Moment:
    """Points between two marks: the same calls are confirmed and under way at each."""

    mark: int  # index of the mark
    first: int  # points from here …
    end: int  # … to before here
    confirmed: tuple[int, ...]
    under_way: tuple[int, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Tally:
    points: int
    states: int  # different ones, each opened
    flaws: Sequence[str]


@dataclass(frozen=True, slots=True)
class Findings:
    steps: int
    points: int
    states: int
    violations: Sequence[str]
    seconds: float


def moments(steps: Sequence[Step]) -> list[Moment]:
    """All points, in pieces small enough to be shared out."""
    confirmed: list[int] = []
    under_way: list[int] = []
    mark, note, found = 0, "", list[Moment]()
    borders = [index for index, step in enumerate(steps) if isinstance(step, Mark)]
    for start, end in zip([0, *borders], [*borders, len(steps)], strict=True):
        step = steps[start]
        if isinstance(step, Mark):
            mark = start
            if not step.is_done:
                under_way.append(step.call)
            elif step.call in under_way:
                under_way.remove(step.call)
                confirmed.append(step.call)
            else:
                note = step.note
        for first in range(start, end, POINTS_MAX):
            last = min(first + POINTS_MAX, end)
            found.append(Moment(mark, first, last, tuple(confirmed), tuple(under_way), note))
    return found


def enumerate_states(
    name: str, rounds: int, steps: Sequence[Step], *, until: str = "", every: int = 1
) -> Findings:
    """Judges every state of each such moment.

    With `until` it tries short moments first and ends once a violation says so.
    """
    began_s = time.monotonic()
    tallies: list[Tally] = []
    order = moments(steps)[::every]
    if until:
        order.sort(key=lambda moment: moment.end - moment.first)
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of a test
    with (
        tempfile.TemporaryDirectory(prefix="orvanta-states-", dir=fast_folder()) as place,
        ProcessPoolExecutor(PROCESSES, spawn, _prepare, (name, rounds, steps, place)) as pool,
    ):
        for tally in pool.map(_judge, order):
            tallies.append(tally)
            if until and any(re.search(until, flaw) for flaw in tally.flaws):
                pool.shutdown(wait=True, cancel_futures=True)
                break
    return Findings(
        steps=len(steps),
        points=sum(tally.points for tally in tallies),
        states=sum(tally.states for tally in tallies),
        violations=[flaw for tally in tallies for flaw in tally.flaws],
        seconds=time.monotonic() - began_s,
    )


class _Judge:
    """One of the processes: its disk goes forward from moment to moment."""

    def __init__(self, work: Work[Any, Any], steps: Sequence[Step], place: Path) -> None:
        self._work = work
        self._steps = steps
        self._place = place
        self._disk = Disk()
        self._at = 0

    async def judge(self, moment: Moment) -> Tally:
        if self._at > moment.first:
            self._disk, self._at = Disk(), 0
        while self._at < moment.first:
            self._advance()
        claim = Claim(expected(self._work, moment.confirmed, moment.under_way), moment.note)
        tried: set[frozenset[tuple[str, bytes]]] = set()
        flaws: list[str] = []
        for point, state in self._states(moment):
            if state.fingerprint in tried:
                continue
            tried.add(state.fingerprint)
            for flaw in await flaws_of(self._work, state, claim, self._place / f"{os.getpid()}"):
                if len(flaws) < SHOWN_MAX:
                    flaws.append(f"after step {point} ({self._shown(moment)}; {state.how}): {flaw}")
        return Tally(moment.end - moment.first, len(tried), flaws)

    def _states(self, moment: Moment) -> Iterator[tuple[int, CrashState]]:
        while self._at < moment.end:
            self._advance()
            for state in self._disk.states():
                yield self._at - 1, state

    def _advance(self) -> None:
        self._disk.take(self._at, self._steps[self._at])
        self._at += 1

    def _shown(self, moment: Moment) -> str:
        mark = self._steps[moment.mark]
        if not isinstance(mark, Mark):
            return "at the first start"
        return f"{'confirmed' if mark.is_done else 'begun'}: {mark.note}"


_judges: list[_Judge] = []  # one in each process of the pool


def quieten() -> None:
    """The store's own log would be a line for each state."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _prepare(name: str, rounds: int, steps: Sequence[Step], place: str) -> None:
    quieten()
    _judges.append(_Judge(WORKS[name](rounds), steps, Path(place)))


def _judge(moment: Moment) -> Tally:
    return asyncio.run(_judges[0].judge(moment))
