"""What to run, and how it ended: values only, so that the executor knows neither spool nor link."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Sink = Callable[[str], None]  # takes log text as it comes, already decoded; must not block


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    job_id: str
    language: str  # "bash", "python3"
    code: str
    args: bytes  # one JSON object, UTF-8; `null` means no arguments
    env: Mapping[str, str]  # the reserved variables; wins over what the site passes on
    timeout_s: float | None
    path: str | None  # of the script, such as "f/shop/rollup"
    hidden: tuple[str, ...] = ()  # secrets that its log must not show
    scripts: Mapping[str, str] = field(default_factory=dict)  # that its code imports, by their paths
    packages: str = ""  # the folder of what it may import, which nobody writes to; empty: there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    success: bool
    result: bytes  # one JSON document, UTF-8: the result, or on failure the error object
    duration_ms: int  # monotonic
    mem_peak_kb: int | None = None  # None: it ended before it could be measured
    exit_code: int | None = None  # None: nothing was started; 128 + N: ended by signal N
    canceled_by: str | None = None  # "timeout" when the time limit stopped it
    canceled_reason: str | None = None


class Stop:
    """A request, from outside, that a run should end as cancelled. The first request counts."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.by: str | None = None
        self.reason: str = ""

    def request(self, by: str, reason: str) -> None:
        if self.by is None:
            self.by, self.reason = by, reason
            self._event.set()

    async def requested(self) -> None:
        """Returns once somebody has asked; at once if that has happened already."""
        await self._event.wait()
