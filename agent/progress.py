"""How far a long command is, and how long it still takes: on a terminal, and elsewhere not a word.

By rich where that is installed; else in one line, which each next one overwrites.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO, TypeVar

T = TypeVar("T")

Advance = Callable[[float], None]  # so many steps more

CLEAR: Final = "\r\x1b[K"
EVERY_S: Final = 0.2
PER_S: Final = 3  # what draws it must not cost what a bench measures
MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
DAYS_FROM_S: Final = 2 * DAY_S


@contextmanager
def progress(what: str, total: float, stream: TextIO | None = None) -> Iterator[Advance]:
    """`total`: steps in all. Nothing of it is left on the terminal when the block ends."""
    stream = stream or sys.stderr
    if not stream.isatty() or total <= 0:
        yield lambda _steps: None
    elif not _has_rich():
        line = Line(what, total, stream)
        try:
            yield line.advance
        finally:
            line.clear()
    else:
        with _bar(what, total, stream) as advance:
            yield advance


def tracked(what: str, items: Sequence[T], stream: TextIO | None = None) -> Iterator[T]:
    """The items, one after another, with the progress of whoever takes them."""
    with progress(what, len(items), stream) as advance:
        for item in items:
            yield item
            advance(1)


class Line:
    """Leaves the cursor where it begins, so that what others write stands in its place."""

    def __init__(
        self, what: str, total: float, stream: TextIO, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._total = total
        self._stream = stream
        self._now_s = now_s
        self._began_s = now_s()
        self._drawn_s = float("-inf")
        self._done = 0.0
        self._draw()

    def advance(self, steps: float) -> None:
        self.reach(self._done + steps)

    def reach(self, done: float) -> None:
        """So many steps are done in all."""
        self._done = min(max(done, 0.0), self._total)
        if self._now_s() - self._drawn_s >= EVERY_S:
            self._draw()

    def clear(self) -> None:
        self._stream.write(CLEAR)
        self._stream.flush()

    def _draw(self) -> None:
        self._drawn_s = self._now_s()
        left = ""
        if self._done:
            left_s = (self._drawn_s - self._began_s) * (self._total - self._done) / self._done
            left = f", about {span(left_s)} left"
        self._stream.write(f"{CLEAR}{self._what}: {100 * self._done / self._total:.0f} %{left}\r")
        self._stream.flush()


def span(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    if seconds < DAYS_FROM_S:
        return f"{seconds / HOUR_S:.1f} h"
    return f"{seconds / DAY_S:.1f} days"


def _has_rich() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 whoever is on no terminal needs none of it

    return find_spec("rich") is not None


@contextmanager
def _bar(what: str, total: float, stream: TextIO) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415 only where it is
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 see above

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(file=stream)
    with Progress(*columns, console=console, transient=True, refresh_per_second=PER_S) as shown:
        task = shown.add_task(what, total=total)
        yield lambda steps: shown.advance(task, steps)
