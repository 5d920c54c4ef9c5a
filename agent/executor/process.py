"""One job, one process group, one directory; stop is not kill (DESIGN section 6)."""

import asyncio
import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.executor import endings, json_text, leftovers, proc, results
from agent.executor.account import Account
from agent.executor.cgroup import Cgroups
from agent.executor.directory import JobDirectory, not_made
from agent.executor.endings import Ended, Interruption
from agent.executor.environment import job_environment, site_environment
from agent.executor.errors import JobFailed
from agent.executor.group import Group
from agent.executor.hints import explained
from agent.executor.languages import bash, python
from agent.executor.languages.language import Exit, Language, Verdict, missing
from agent.executor.limits import Limits
from agent.executor.members import Crowd, Members
from agent.executor.output import Output
from agent.executor.started import cold
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.executor.warm.runner import Warm
from agent.executor.watch import Watch

T = TypeVar("T")

INLINE_BYTES: Final = 1024 * 1024  # more than this is written, read and parsed beside the loop
NO_PROGRAM: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC)


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Where each language's program is; None = not on this machine."""

    bash: str | None
    python3: str | None

    @classmethod
    def found(cls, bash_path: str | None = None, python_path: str | None = None) -> "Interpreters":
        """What the settings name; else the bash on the PATH, and the Python that runs this."""
        return cls(bash_path or shutil.which("bash"), python_path or sys.executable or None)


class Executor:
    def __init__(
        self,
        work_dir: Path,
        limits: Limits,
        interpreters: Interpreters | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        account: Account | None = None,
        umask: int = -1,
        hidden: Callable[[], Sequence[str]] = tuple,
        languages: Mapping[str, Language] | None = None,
        warm: bool = False,
        cgroup: Path | None = None,
    ) -> None:
        """`work_dir`: a folder of the executor's own. `environment`: what every job gets beside its
        reserved variables; by default PATH, HOME, TZ, the proxies and the store of CAs of this process.
        `account`: whose the jobs' processes are; None, as `umask` -1: our own. `hidden`: what no job's log
        may show by now. `languages`: beside bash and python3. `warm`: whether python3 jobs are forked from an
        interpreter that runs already. `cgroup`: a control group below which each job gets one of its own.
        """
        found = Interpreters.found() if interpreters is None else interpreters
        self._work_dir = work_dir.absolute()  # it is part of the mark of each job's processes
        self._limits = limits
        self._environment = site_environment() if environment is None else dict(environment)
        self._account = account
        self._umask = umask
        self._hidden = hidden
        if account is not None:
            self._environment.pop("HOME", None)  # ours; a job without one lives in its directory
        self._languages: Mapping[str, Language] = {
            "bash": bash.Bash(found.bash),
            "python3": python.Python(found.python3),
            **(languages or {}),
        }
        self._cgroups = None if cgroup is None else Cgroups(cgroup, self._work_dir)
        self._crowd = Crowd(os.geteuid() if account is None else account.uid)
        self._warm = None
        if warm and found.python3 is not None:
            self._warm = Warm(found.python3, self._environment, account, umask)
        self._boot_id = proc.boot_id()

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome:
        """Run a job to its end. Never raises for anything that the job or its disk does.

        A cancellation of this call kills the job's group, waits for it, and is raised again.
        """
        began_s = time.monotonic()
        if stop.by is not None:
            return endings.canceled_before(stop)
        try:
            return await self._run(task, sink, stop, began_s)
        except JobFailed as failure:
            sink(f"{failure}\n")
            return endings.not_started(task, failure, _ms_since(began_s))

    def kill_leftovers(self) -> int:
        """End what an earlier life of the agent left running, wait for it, remove its directories.

        Returns the number of jobs of which something ran. To be called before the first `run`.
        """
        if self._cgroups is not None:
            self._cgroups.end_all()
        return leftovers.kill_leftovers(self._work_dir)

    def close(self) -> None:
        """End what was kept running between jobs. A job that still runs goes on."""
        if self._warm is not None:
            self._warm.close()

    async def _run(self, task: Task, sink: Sink, stop: Stop, began_s: float) -> Outcome:
        """Raises `JobFailed` as long as nothing has been started."""
        language = self._language(task.language)
        directory = JobDirectory(self._work_dir, task.job_id)
        try:
            size = len(task.code) + len(task.args)
            argv = await _beside_if_large(size, lambda: self._prepare(language, task, directory))
            most_chars = self._limits.result_bytes if language.result_is_last_line else 0
            output = Output(
                sink,
                most_bytes=self._limits.output_bytes,
                last_line_chars=most_chars,
                hidden=lambda: (*self._hidden(), *task.hidden),
            )
            group, members = self._start(task, language, argv, directory, output)
            watch = Watch(members, directory.path, output, self._limits)
            interruption = await self._to_the_end(
                group, members, directory, self._interruption(group, watch, task, sink, stop)
            )
            ended = Ended(
                code=group.exited.result(),
                interruption=interruption,
                duration_ms=_ms_since(began_s),
                peak_kb=group.peak_kb,
            )
            verdict = await self._verdict(task, language, directory, ended, output)
            if interruption is None:
                lacked_memory = ended.code == -signal.SIGKILL and watch.memory_ran_out()
                verdict = explained(verdict, output.tail, self._limits, out_of_memory=lacked_memory)
            return endings.outcome(ended, verdict)
        finally:
            await directory.remove()

    def _language(self, name: str) -> Language:
        if language := self._languages.get(name):
            return language
        *others, last = self._languages
        known = f"{', '.join(others)} and {last}"
        raise JobFailed(
            "UnknownLanguage",
            f"this agent does not run the language {name!r}; it runs {known}. "
            "Rewrite the script, or give the job the tag of a worker that runs it.",
        )

    def _prepare(self, language: Language, task: Task, directory: JobDirectory) -> Sequence[str]:
        """Raises `JobFailed` for arguments, code or a disk with which the job cannot be started."""
        args = _arguments(task.args)
        try:
            directory.make()
            argv = language.prepare(task, args, directory)
            if self._account is not None:
                directory.give(self._account)
        except OSError as error:
            raise not_made(error, directory.path) from None
        except UnicodeEncodeError as error:
            raise JobFailed(
                "BadScript", f"the script or its arguments are not Unicode text: {error}"
            ) from None
        return argv

    def _start(
        self, task: Task, language: Language, argv: Sequence[str], directory: JobDirectory, output: Output
    ) -> tuple[Group, Members]:
        env = job_environment(self._environment, task.env, task.job_id, str(directory.path))
        cgroup = self._cgroups.make(task.job_id, self._limits) if self._cgroups else None
        members = Members(directory.path, cgroup)
        try:
            return self._started(language, argv, directory, env, output), members
        except BaseException:
            members.end()
            raise

    def _started(
        self,
        language: Language,
        argv: Sequence[str],
        directory: JobDirectory,
        env: Mapping[str, str],
        output: Output,
    ) -> Group:
        try:
            started = self._warm.start(argv, directory.path, env) if self._warm else None
            if started is None:
                started = cold(argv, directory.path, env, self._account, self._umask)
            return Group(started, output)
        except ValueError as error:  # NUL, or = in a name
            raise JobFailed("BadEnvironment", f"the job's environment cannot be set: {error}") from None
        except OSError as error:
            if error.filename == argv[0] and error.errno in NO_PROGRAM:
                raise missing(argv[0], language.setting) from None
            raise JobFailed("NotStarted", f"the job's process could not be started: {error}") from None

    async def _to_the_end(
        self,
        group: Group,
        members: Members,
        directory: JobDirectory,
        interrupted: Coroutine[Any, Any, Interruption | None],
    ) -> Interruption | None:
        """On return, and on cancellation, no process of the job is left and all its output is read."""
        waiting = asyncio.ensure_future(interrupted)
        by_itself = False
        try:
            members.lead(group.pid)
            limits = self._limits.apply(group.pid, self._crowd.count())
            with suppress(OSError):  # a full disk: a later life still knows it by its environment
                directory.note_process(group.pid, self._boot_id)
            group.begin(limits)
            interruption = await waiting
            by_itself = interruption is None
            if interruption is not None and not interruption.at_once:
                await group.stop(self._limits.kill_grace_s)
        finally:
            waiting.cancel()
            await group.kill()
            if by_itself:
                await group.silence()  # what has left the group may end by itself, too
            members.end()
            await group.silence()
            group.close()
        return interruption

    async def _interruption(
        self, group: Group, watch: Watch, task: Task, sink: Sink, stop: Stop
    ) -> Interruption | None:
        """Waits for the first of four: the end, a stop, the time limit, another limit."""
        limit_s, warning = self._limits.timeout_s(task.timeout_s)
        if warning:
            sink(warning)
        asked = asyncio.ensure_future(stop.requested())
        exceeded = asyncio.ensure_future(watch.exceeded())
        try:
            await asyncio.wait(
                (group.exited, asked, exceeded), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            asked.cancel()
            exceeded.cancel()
        if group.exited.done():
            return None
        if exceeded.done() and not exceeded.cancelled():
            return exceeded.result()
        if stop.by is not None:
            return endings.by_stop(stop.by, stop.reason)
        return endings.by_time_limit(job_specific=limit_s == task.timeout_s)

    async def _verdict(
        self,
        task: Task,
        language: Language,
        directory: JobDirectory,
        ended: Ended,
        output: Output,
    ) -> Verdict:
        if ended.interruption is not None:
            return endings.interrupted(task, ended.interruption)
        if ended.code < 0:
            return endings.signalled(task, ended)
        exit_ = Exit(code=ended.code, output=output, step_id=endings.step_id(task))
        size = results.weight(directory.path)
        try:
            return await _beside_if_large(
                size, lambda: language.judge(directory, exit_, self._limits.result_bytes)
            )
        except JobFailed as failure:
            return endings.failed(task, failure)


def _arguments(text: bytes) -> Mapping[str, object]:
    mend = "submit one JSON object of names and values"
    try:
        args = json_text.parse(text)
    except ValueError as error:
        raise JobFailed("BadArguments", f"the job's arguments are not JSON: {error}; {mend}") from None
    if args is None:
        return {}
    if not isinstance(args, dict):
        raise JobFailed("BadArguments", f"the job's arguments are JSON, but not an object; {mend}")
    return args


async def _beside_if_large(size: int, work: Callable[[], T]) -> T:
    """Small work costs less than handing it to a thread; large work would hold up the other jobs."""
    return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)


def _ms_since(began_s: float) -> int:
    return round((time.monotonic() - began_s) * 1000)
