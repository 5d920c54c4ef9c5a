"""A site for the tests of the executor: real processes in a folder of their own, no mocks."""

import asyncio
import json
import os
import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.executor.languages.language import Language
from agent.executor.limits import Limits
from agent.executor.process import Executor, Interpreters
from agent.executor.task import Outcome, Stop, Task
from tests.support.until import until

JOB = "0190-job"
WITHIN_S = 20
COMMAND_LINE = "def main(): return open('/proc/self/cmdline').read()"


@dataclass(slots=True)
class Running:
    """A job on its way: what it has said so far, and the means to stop it."""

    stop: Stop = field(default_factory=Stop)
    log: str = ""
    _said: asyncio.Event = field(default_factory=asyncio.Event)

    def sink(self, text: str) -> None:
        self.log += text
        self._said.set()

    async def says(self, word: str) -> str:
        """The log, once `word` is in it."""
        async with asyncio.timeout(WITHIN_S):
            while word not in self.log:
                self._said.clear()
                await self._said.wait()
        return self.log


@dataclass(frozen=True, slots=True)
class Ran:
    outcome: Outcome
    log: str

    @property
    def document(self) -> Any:
        return json.loads(self.outcome.result)


def task(code: str, language: str = "bash", args: object = None, **more: Any) -> Task:
    text = args if isinstance(args, bytes) else json.dumps(args or {}).encode()
    known = {"job_id": JOB, "env": {}, "timeout_s": None, "path": None, **more}
    return Task(language=language, code=code, args=text, **known)


class Site:
    def __init__(
        self,
        work_dir: Path,
        limits: Limits | None = None,
        interpreters: Interpreters | None = None,
        environment: Mapping[str, str] | None = None,
        hidden: Callable[[], Sequence[str]] = tuple,
        *,
        warm: bool = False,
        languages: Mapping[str, Language] | None = None,
    ) -> None:
        self.work_dir = work_dir
        self.executor = Executor(
            work_dir,
            limits or Limits(),
            interpreters,
            environment,
            hidden=hidden,
            warm=warm,
            languages=languages,
        )

    async def run(self, wanted: Task, running: Running | None = None) -> Ran:
        job = running or Running()
        async with asyncio.timeout(WITHIN_S):
            outcome = await self.executor.run(wanted, job.sink, job.stop)
        return Ran(outcome, job.log)

    async def bash(self, code: str, args: object = None, **more: Any) -> Ran:
        return await self.run(task(code, "bash", args, **more))

    async def python(self, code: str, args: object = None, **more: Any) -> Ran:
        return await self.run(task(code, "python3", args, **more))

    async def warmed_up(self) -> None:
        """Once it returns, python3 jobs are forked from a warm parent."""
        await until(self.is_warm, within_s=WITHIN_S)

    async def is_warm(self) -> bool:
        """Whether a job that is run now is forked from a warm parent."""
        return "zygote.py" in (await self.python(COMMAND_LINE)).document


def has_ended(pid: int, within_s: float = 5) -> bool:
    """True as soon as the process has ended; False if it runs on."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], within_s)[0])
    finally:
        os.close(watched)


def entries(folder: Path) -> list[str]:
    """The names in a folder."""
    return [path.name for path in folder.iterdir()]
