"""One job, one process group, one folder; stop is not kill (DESIGN section 6)."""

import asyncio
import codecs
import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from agent.executor.languages import bash, python
from agent.executor.limits import Limits
from agent.executor.task import CannotRun, Outcome, Sink, Stop, Task, error_document

LANGUAGES: Final[Mapping[str, ModuleType]] = {"bash": bash, "python3": python}
READ_BYTES: Final = 64 * 1024
TAIL_CHARS: Final = 4096
OUTPUT_AFTER_EXIT_S: Final = 1.0  # how long a child that outlived its parent may keep the output open
MEMORY_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Interpreters:
    """Where each language's program is; None = not on this machine."""

    bash: str | None
    python3: str | None

    @classmethod
    def found(cls, bash_path: str | None, python_path: str | None) -> "Interpreters":
        return cls(
            bash_path or shutil.which("bash"), python_path or shutil.which("python3") or sys.executable
        )


class Executor:
    def __init__(self, work: Path, limits: Limits, interpreters: Interpreters) -> None:
        """`work`: a folder of the executor's own, emptied at start by `kill_leftovers`."""
        self._work = work
        self._limits = limits
        self._interpreters = interpreters

    async def run(self, task: Task, sink: Sink, stop: Stop) -> Outcome:
        """Run it to its end. Never raises for anything the job does; a cancellation kills its group."""
        began = time.monotonic()
        folder = self._work / task.job_id
        try:
            command = await asyncio.to_thread(self._prepare, task, folder)
            return await self._run(task, folder, command, sink, stop, began)
        except CannotRun as error:
            sink(str(error) + "\n")
            return Outcome(
                success=False, result=error_document(error.name, str(error)), duration_ms=_ms(began)
            )
        except OSError as error:
            message = f"the job could not be started: {error.strerror or error}"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                message = "the disk of the spool is full, so the job could not be started; free some space"
            return Outcome(success=False, result=error_document("SiteError", message), duration_ms=_ms(began))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def kill_leftovers(self) -> int:
        """End the groups that an earlier life of the agent left running, and remove their folders."""
        killed = 0
        for folder in self._work.iterdir():
            killed += _kill_left(folder)
            shutil.rmtree(folder, ignore_errors=True)
        return killed

    def _prepare(self, task: Task, folder: Path) -> Sequence[str]:
        language = LANGUAGES.get(task.language)
        if language is None:
            known = ", ".join(sorted(LANGUAGES))
            raise CannotRun("UnknownLanguage", f"this agent does not run {task.language!r}; it runs {known}")
        args = _args(task.args)
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "shared").mkdir(parents=True)
        command: Sequence[str] = language.prepare(
            folder, task.code, args, getattr(self._interpreters, task.language)
        )
        return command

    async def _run(
        self, task: Task, folder: Path, command: Sequence[str], sink: Sink, stop: Stop, began: float
    ) -> Outcome:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env=_environment(task, folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise CannotRun(
                "MissingInterpreter", f"{command[0]} is not on this machine; install it"
            ) from error
        (folder / "pid").write_text(f"{process.pid} {_start_time(process.pid)}")
        with contextlib.suppress(ProcessLookupError):
            self._limits.apply(process.pid)
        output = _Output(sink)
        reading = asyncio.create_task(output.read(process.stdout), name=f"output {task.job_id}")
        memory = asyncio.create_task(_watch_memory(process.pid), name=f"memory {task.job_id}")
        try:
            why = await self._until_end(process, task, stop)
        finally:
            _signal_group(
                process.pid, signal.SIGKILL
            )  # children that outlived it, and all of it on cancellation
            memory.cancel()
            await asyncio.wait([reading], timeout=OUTPUT_AFTER_EXIT_S)
            reading.cancel()
            await asyncio.wait([reading, memory])
        peak = memory.result() if not memory.cancelled() and memory.exception() is None else None
        return await asyncio.to_thread(
            self._outcome, task, folder, process.returncode or 0, output.tail, why, stop, _ms(began), peak
        )

    async def _until_end(self, process: asyncio.subprocess.Process, task: Task, stop: Stop) -> str | None:
        """None when it ended by itself, else "timeout" or "stop"."""
        ended = asyncio.ensure_future(process.wait())
        asked = asyncio.ensure_future(stop.requested())
        try:
            await asyncio.wait(
                (ended, asked),
                timeout=self._limits.effective_timeout_s(task.timeout_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ended.done():
                return None
            why = "stop" if asked.done() else "timeout"
            _signal_group(process.pid, signal.SIGTERM)
            await asyncio.wait([ended], timeout=self._limits.kill_grace_s)
            _signal_group(process.pid, signal.SIGKILL)
            await ended
            return why
        finally:
            ended.cancel()
            asked.cancel()

    def _outcome(
        self,
        task: Task,
        folder: Path,
        code: int,
        tail: str,
        why: str | None,
        stop: Stop,
        took_ms: int,
        peak: int | None,
    ) -> Outcome:
        by: str | None = None
        reason: str | None = None
        if why == "timeout":
            limit = self._limits.effective_timeout_s(task.timeout_s)
            by, reason = "timeout", f"duration > {limit:g}"
            told = "execution error:\njob process terminated due to timeout after exceeding job-specific duration limit"
            document = error_document("ExecutionErr", told)
        elif why == "stop":
            by, reason = stop.by, stop.reason
            told = f"execution error:\njob process terminated due to cancelled by {by} (reason: {reason})"
            document = error_document("ExecutionErr", told)
        elif code < 0:
            name = signal.Signals(-code).name
            document = error_document("ExecutionErr", f"process terminated by signal: {name}", exit_code=code)
        else:
            document = self._read_result(task, folder, code, tail)
        success = why is None and code == 0
        if success:
            success, document = _as_json(document)
        return Outcome(
            success=success, result=document, duration_ms=took_ms, mem_peak_kb=peak, exit_code=code,
            canceled_by=by, canceled_reason=reason,
        )  # fmt: skip

    def _read_result(self, task: Task, folder: Path, code: int, tail: str) -> bytes:
        most = self._limits.result_mb * 1024 * 1024
        for name in ("result.json", "result.out"):
            path = folder / name
            if path.exists() and path.stat().st_size > most:
                raise CannotRun(
                    "ResultTooLarge",
                    f"the result is over {self._limits.result_mb} MB; store it, return where",
                )
        document: bytes = LANGUAGES[task.language].result(folder, code, tail)
        return document


class _Output:
    """Merged output as text for the sink, with its last part kept for messages."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.tail = ""

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while stream is not None and (data := await stream.read(READ_BYTES)):
            text = decoder.decode(data).replace("\0", "")
            self.tail = (self.tail + text)[-TAIL_CHARS:]
            self._sink(text)


async def _watch_memory(pid: int) -> int | None:
    """The largest resident size seen of the group's first process, in kB; read on cancellation as well."""
    peak: int | None = None
    try:
        while True:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1])
            await asyncio.sleep(MEMORY_EVERY_S)
    except (OSError, asyncio.CancelledError):
        return peak  # the process is gone, and this was its watch


def _args(raw: bytes) -> Mapping[str, Any]:
    try:
        args = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise CannotRun(
            "BadArguments", f"the arguments are not JSON: {error}; submit an object of names and values"
        ) from None
    if not isinstance(args, dict):
        raise CannotRun(
            "BadArguments", "the arguments are not a JSON object; submit an object of names and values"
        )
    return args


def _as_json(document: bytes) -> tuple[bool, bytes]:
    """A result that is not JSON would poison whoever reads it: a failed job that says so."""
    try:
        json.loads(document)
    except (ValueError, RecursionError) as error:
        return False, error_document("BadResult", f"result.json is not JSON: {error}")
    return True, document


def _environment(task: Task, folder: Path) -> dict[str, str]:
    """Cleared, then what the contract names (agent-api.md 7.2)."""
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "TZ", "LANG") if name in os.environ}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **ours, "PYTHONPATH": str(folder), **task.env}


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _start_time(pid: int) -> str:
    """When the process began, in ticks since boot: with the pid it names one process for ever."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "gone"


def _kill_left(folder: Path) -> int:
    """Kill what `folder` says was running. A reused pid has another start time and is left alone."""
    try:
        pid, start = (folder / "pid").read_text().split()
    except (OSError, ValueError):
        return 0
    leader_is_ours = _start_time(int(pid)) == start
    leader_is_gone = _start_time(int(pid)) == "gone"
    if not leader_is_ours and not leader_is_gone:
        return 0
    _signal_group(
        int(pid), signal.SIGKILL
    )  # a group outlives its leader, and its number is not reused meanwhile
    return 1 if leader_is_ours else 0


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
