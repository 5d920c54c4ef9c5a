"""The seam between running a process and knowing a language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed, error_object
from agent.executor.output import Output
from agent.executor.task import Task

SIGNAL_OFFSET = 128  # what a shell adds to the number of the signal that ended a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended by itself, and what it said last."""

    code: int
    output: Output
    step_id: str  # of a flow; empty outside one


@dataclass(frozen=True, slots=True)
class Verdict:
    success: bool
    document: bytes  # one JSON document: the result or the error object


class Language(Protocol):
    @property
    def setting(self) -> str:
        """The name of the setting that says where the interpreter is."""
        ...

    @property
    def result_is_last_line(self) -> bool: ...

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        """Write what the interpreter needs; return its command line. Raises `JobFailed`, OSError.

        Before the script begins, the command waits for a line on its standard input, and ends
        without running it when there is none: nothing runs that is not yet limited and noted, so
        no moment is left in which a death of the agent could lose sight of it. What stands in that line are
        limits that it must put on itself first (see `Limits.apply`).
        """
        ...

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        """Read the result. Raises `JobFailed` when it is too large or no JSON."""
        ...


def interpreter(path: str | None, name: str, setting: str) -> str:
    """`path`, or a failed job that says how to mend it."""
    if path is None:
        raise missing(name, setting)
    return path


def missing(path: str, setting: str) -> JobFailed:
    return JobFailed(
        "InterpreterMissing",
        f"{path} is not on this machine, or may not be run; install it or set {setting} to its full path",
    )


def failure(run: str, exit_: Exit) -> bytes:
    """The error object for an exit code other than 0 that came without one (7.3)."""
    message = f'exit code for "{run}": {exit_.code}, last log lines:\n{exit_.output.tail}'
    return error_object(message, step_id=exit_.step_id, exit_code=exit_.code)
