"""Runs the site's scripts as jobs of their own, link or no link; their output is in the agent's log."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from agent.clock import Clock
from agent.errors import AgentError
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.scripts.script import INIT, Kind, Script

log = structlog.get_logger()

UNTOLD_MOST: Final = 10  # of a periodic script, while there is no link: the older ones are in the log
LOG_CHARS: Final = 100_000  # what the cluster is told of the output
TAIL_LINES: Final = 5


class InitScriptFailed(AgentError):
    """The site is not ready for jobs, says its own script."""


class Executor(Protocol):
    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Ended:
    script: Script
    outcome: Outcome
    text: str  # the beginning of its output
    started_at: float  # wall seconds


class SiteScripts:
    def __init__(self, scripts: Sequence[Script], executor: Executor, clock: Clock) -> None:
        self._scripts = {script.kind: script for script in scripts}
        self._executor = executor
        self._clock = clock
        self._untold: deque[Ended] = deque(maxlen=UNTOLD_MOST)
        self._news = asyncio.Event()

    async def begin(self, stop: Stop) -> None:
        """Run the init script, if there is one. Raises `InitScriptFailed`; not when `stop` ended it."""
        script = self._scripts.get(Kind.INIT)
        if script is None:
            return
        ended = await self._run(script, stop)
        if not ended.outcome.success and stop.by is None:
            raise InitScriptFailed(_why_not(ended))

    async def repeat(self) -> None:
        """Run the periodic script, if there is one, for ever: the first time now."""
        script = self._scripts.get(Kind.PERIODIC)
        while script is not None:
            began_s = self._clock.monotonic_s()
            await self._run(script, Stop())
            await asyncio.sleep(max(0.0, began_s + script.every_s - self._clock.monotonic_s()))

    async def next_untold(self) -> Ended:
        """The oldest of which the cluster does not know."""
        while not self._untold:
            self._news.clear()
            await self._news.wait()
        return self._untold[0]

    def told(self, ended: Ended) -> None:
        """It knows now, or will never."""
        if ended in self._untold:
            self._untold.remove(ended)

    async def _run(self, script: Script, stop: Stop) -> Ended:
        task = Task(
            job_id=script.kind.value,
            language=script.language,
            code=script.code,
            args=b"{}",
            env={"WM_JOB_PATH": script.kind.value},
            timeout_s=script.most_s,
            path=script.kind.value,
        )
        said = _Lines(script.kind)
        started_at = self._clock.wall_s()
        log.info("script.started", kind=script.kind, language=script.language)
        outcome = await self._executor.run(task, said.take, stop)
        said.end()
        event = log.info if outcome.success else log.error
        event(
            "script.ended",
            kind=script.kind,
            success=outcome.success,
            exit_code=outcome.exit_code,
            ms=outcome.duration_ms,
        )
        ended = Ended(script, outcome, said.text, started_at)
        self._untold.append(ended)
        self._news.set()
        return ended


class _Lines:
    """Output, shown in the agent's log a line at a time."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._open = ""
        self.text = ""

    def take(self, text: str) -> None:
        self.text = (self.text + text)[:LOG_CHARS]
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            log.info("script.says", kind=self._kind, line=line)

    def end(self) -> None:
        if self._open:
            log.info("script.says", kind=self._kind, line=self._open)
            self._open = ""


def _why_not(ended: Ended) -> str:
    outcome = ended.outcome
    how = (
        "took longer than it may"
        if outcome.canceled_by == "timeout"
        else f"ended with exit code {outcome.exit_code}"
    )
    if outcome.exit_code is None:
        how = f"could not be started: {outcome.result.decode()}"
    lines = "\n".join(ended.text.rstrip().splitlines()[-TAIL_LINES:])
    last = f" Its last lines:\n{lines}" if lines else ""
    return f"{INIT} {how}, so the agent does not start; mend it, or leave {INIT} out.{last}"
