"""What every target is held to: named outcomes only, none slow, and no memory that stays."""

import ctypes
import gc
import os
import signal
import traceback
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import structlog

from agent.errors import TagNotHeld
from agent.logs import cut
from agent.wire.errors import WireError

STEP_CPU_S: Final = 1.0  # of processor time, so that a busy machine makes nothing slow
GROWTH_MAX_MB: Final = 24.0
WARM_UP: Final = 0.3  # of the cases; what is allocated once is there by then
LINE_MAX: Final = 20_000  # characters of a line of the log
REFUSALS: Final = ("job.refused", "message.refused", "control.refused", "event.unexpected")
ERRORS: Final = {kind.__name__ for kind in (*WireError.__subclasses__(), TagNotHeld)}
CUTS: Final = 5  # lines of a traceback that are shown


class TooSlow(BaseException):
    """Raised in the middle of a step. No `except Exception` of the product sees it."""


class Watching:
    """One run of one target."""

    def __init__(self, target: str, count: int) -> None:
        self.target = target
        self.count = count
        self.outcomes: Counter[str] = Counter()
        self.violations: list[str] = []
        self.cases = 0
        self.slowest_s = 0.0
        self.warm_mb: float | None = None
        self.grown_mb = 0.0

    def listen(self) -> None:
        """What the product says in its log of a refusal is an outcome, and a line of it has a bound."""
        structlog.configure(processors=[cut, self._hear], cache_logger_on_first_use=False)

    def _hear(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> NoReturn:
        if (size := len(str(line))) > LINE_MAX:
            self.violation(f"flood: {line['event']} has {size} characters")
        if line["event"] in REFUSALS:
            name = str(line.get("reason", "")).partition(":")[0]
            self.outcomes[f"{line['event']} {name}" if name in ERRORS else line["event"]] += 1
        raise structlog.DropEvent

    @contextmanager
    def step(self, what: str, cases: int = 1) -> Iterator[None]:
        """About `cases` cases. What escapes is a violation; so is more than `STEP_CPU_S` for each."""
        began_s = _cpu_s()
        signal.signal(signal.SIGPROF, _too_slow)
        signal.setitimer(signal.ITIMER_PROF, STEP_CPU_S * cases, STEP_CPU_S)  # again, if it was swallowed
        try:
            yield
        except TooSlow as error:
            self.violation(f"slow: {what}{_where(error)}")
        except Exception as error:  # noqa: BLE001 that nothing escapes is what is asked here
            self.violation(f"crash: {what}: {type(error).__name__}: {str(error)[:200]}{_where(error)}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.slowest_s = max(self.slowest_s, (_cpu_s() - began_s) / cases)
        self.cases += cases
        if self.warm_mb is None and self.cases >= self.count * WARM_UP:
            self.warm_mb = _memory_mb()

    def violation(self, what: str) -> None:
        self.violations.append(f"{self.target}: {what}")

    def look_at_memory(self) -> None:
        """What is held now and was not after the warm-up."""
        self.grown_mb = round(_memory_mb() - (self.warm_mb or 0.0), 1)
        if self.grown_mb > GROWTH_MAX_MB:
            self.violation(f"leak: {self.grown_mb} MB more after {self.cases} cases than after the warm-up")


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow


def _cpu_s() -> float:
    return os.times().user + os.times().system


def _memory_mb() -> float:
    """Resident, without what the allocator only keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _where(error: BaseException) -> str:
    lines = traceback.extract_tb(error.__traceback__)[-CUTS:]
    return "".join(f"\n    {Path(line.filename).name}:{line.lineno} {line.name}" for line in lines)
