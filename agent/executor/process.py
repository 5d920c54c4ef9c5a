"""One job, one process group, one directory; stop is not kill (DESIGN section 6)."""

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.executor import json_text, leftovers, proc, results
from agent.executor.directory import JobDirectory, not_made
from agent.executor.endings import already_canceled, by_itself, stopped, timed_out, unstarted
from agent.executor.environment import job_environment, site_environment
from agent.executor.errors import JobFailed
from agent.executor.group import Group
from agent.executor.languages import bash, python
from agent.executor.languages.language import Exit, Language, Verdict, missing
from agent.executor.limits import Limits
from agent.executor.output import Output
from agent.executor.task import Outcome, Sink, Stop, Task

T = TypeVar("T")

INLINE_BYTES: Final = 1024 * 1024  # more than this is read and parsed in a thread, beside the loop


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Where each language's program is; None = not on this machine."""

    bash: str | None
    python3: str | None

    @classmethod
    def found(cls, bash_path: str | None = None, python_path: str | None = None) -> "Interpreters":
        """What the settings name, else what is on the PATH, else the Python that runs this."""
        return cls(bash_path or shutil.which("bash"), python_path or sys.executable or None)


class Ending(Enum):
    BY_ITSELF = auto()
    STOPPED = auto()
    TIMED_OUT = auto()


class Executor:
    def __init__(
        self,
        work_dir: Path,
        limits: Limits,
        interpreters: Interpreters | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`work_dir`: a folder of the executor's own. `environment`: what every job gets beside its
        reserved variables; by default PATH, HOME, TZ and the proxies of this process.
        """
        found = Interpreters.found() if interpreters is None else interpreters
        self._work_dir = work_dir
        self._limits = limits
        self._environment = site_environment() if environment is None else dict(environment)
        self._languages: Mapping[str, Language] = {
            "bash": bash.Bash(found.bash),
            "python3": python.Python(found.python3),
        }
        self._boot_id = proc.boot_id()

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome:
        """Run a job to its end. Never raises for anything that the job or its disk does.

        A cancellation of this call kills the job's group, waits for it, and is raised again.
        """
        began_s = time.monotonic()
        if stop.by is not None:
            return already_canceled(task, stop, _since_ms(began_s))
        try:
            return await self._run(task, sink, stop, began_s)
        except JobFailed as failed:
            sink(f"{failed}\n")
            return unstarted(task, failed, _since_ms(began_s))

    def kill_leftovers(self) -> int:
        """End what an earlier life of the agent left running, wait for it, remove its directories.

        Returns the number of jobs of which something ran. To be called before the first `run`.
        """
        return leftovers.kill_leftovers(self._work_dir)

    async def _run(self, task: Task, sink: Sink, stop: Stop, began_s: float) -> Outcome:
        language = self._language(task.language)
        directory = JobDirectory(self._work_dir, task.job_id)
        try:
            size = len(task.code) + len(task.args)
            argv = await _beside_if_large(size, lambda: _prepare(language, task, directory))
            output = Output(
                sink,
                most_bytes=self._limits.output_bytes,
                last_line_chars=self._limits.result_bytes if language.result_is_last_line else 0,
            )
            group = self._start(task, argv, directory, output)
            ending = await self._to_the_end(group, task, sink, stop)
            return await self._outcome(
                language, task, directory, group, output, ending, stop, _since_ms(began_s)
            )
        finally:
            await directory.remove()

    def _language(self, name: str) -> Language:
        if language := self._languages.get(name):
            return language
        known = " and ".join(self._languages)
        raise JobFailed(
            "UnknownLanguage",
            f"this agent does not run the language {name!r}; it runs {known}. "
            "Rewrite the script, or give the job the tag of a worker that runs it.",
        )

    def _start(self, task: Task, argv: Sequence[str], directory: JobDirectory, output: Output) -> Group:
        """Raises `JobFailed`. On return the group is limited and noted for a later life to find."""
        env = job_environment(self._environment, task.env, task.job_id, str(directory.path))
        try:
            group = Group(argv, directory.path, env, output)
        except ValueError as error:  # NUL, or = in a name
            raise JobFailed("BadEnvironment", f"the job's environment cannot be set: {error}") from None
        except OSError as error:
            if error.filename == argv[0]:
                setting = {"bash": bash.SETTING, "python3": python.SETTING}[task.language]
                raise missing(argv[0], setting) from None
            raise JobFailed("NotStarted", f"the job's process could not be started: {error}") from None
        self._limits.apply(group.pid)
        try:
            directory.note_process(group.pid, self._boot_id)
        except OSError:
            pass  # the disk is full; after a crash the group is still known by its environment
        return group

    async def _to_the_end(self, group: Group, task: Task, sink: Sink, stop: Stop) -> Ending:
        """On return, and on cancellation, no process of the job is left and all its output is read."""
        limit_s, warning = self._limits.timeout_s(task.timeout_s)
        if warning:
            sink(warning)
        ending = Ending.STOPPED
        try:
            ending = await _first_of(group, stop, limit_s)
            if ending is not Ending.BY_ITSELF:
                await group.stop(self._limits.kill_grace_s)
        finally:
            await group.kill()
            silent = ending is Ending.BY_ITSELF and await group.silence()
            if not silent:  # or it was stopped: then also look for those that left the group
                leftovers.kill_and_wait(leftovers.processes_of(task.job_id))
                await group.silence()
            group.close()
        return ending

    async def _outcome(
        self,
        language: Language,
        task: Task,
        directory: JobDirectory,
        group: Group,
        output: Output,
        ending: Ending,
        stop: Stop,
        duration_ms: int,
    ) -> Outcome:
        code = group.exited.result()
        if ending is Ending.STOPPED:
            return stopped(task, stop, code, duration_ms, group.peak_kb)
        if ending is Ending.TIMED_OUT:
            own = self._limits.timeout_s(task.timeout_s)[0] == task.timeout_s
            return timed_out(task, code, duration_ms, group.peak_kb, job_specific=own)

        def judge() -> Verdict:
            exit_ = Exit(code=code, output=output, step_id=task.env.get("WM_FLOW_STEP_ID", ""))
            return language.judge(directory, exit_, self._limits.result_bytes)

        size = results.weight(directory.path)
        try:
            verdict = None if code < 0 else await _beside_if_large(size, judge)
        except JobFailed as failed:
            output_note = str(failed)
            verdict = failed_verdict(task, failed)
        return by_itself(task, code, verdict, duration_ms, group.peak_kb)


async def _first_of(group: Group, stop: Stop, limit_s: float) -> Ending:
    asked = asyncio.ensure_future(stop.requested())
    try:
        await asyncio.wait(
            (group.exited, asked), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        asked.cancel()
    if group.exited.done():
        return Ending.BY_ITSELF
    return Ending.TIMED_OUT if stop.by is None else Ending.STOPPED
