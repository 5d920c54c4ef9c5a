"""The agent's side of the warm parent: started when it is first of use, asked for one process per job."""

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from agent.executor import kernel, proc
from agent.executor.account import Account
from agent.executor.started import Started, as_account

log = structlog.get_logger()

FLAGS: Final = ("-u", "-B", "-m", "wrapper")  # of a cold start that a warm one can stand for
ANSWER_S: Final = 1.0  # the event loop waits with us: a fork takes milliseconds, a stopped process for ever
AGAIN_S: Final = 30.0  # jobs start cold meanwhile
WORD_BYTES: Final = 4096
REQUEST_MOST_BYTES: Final = 128 * 1024  # one message: the kernel's default buffer takes some 200 KB
AREA: Final = "/" * 4096  # room in its first environment for the name of any job's directory
NO_HOME: Final = "/nonexistent"  # of an account whose jobs each live in their own directory
# What an interpreter or its libraries read once, when they start. PYTHONPATH is read again for each job.
AT_START: Final = ("PYTHON", "LD_", "LC_", "LANG", "GLIBC_", "MALLOC_", "OPENSSL_")
READ_AGAIN: Final = ("PYTHONPATH",)
HERE: Final = Path(__file__)
WRAPPER: Final = HERE.parent.parent / "languages" / "wrapper_python.py"


class Warm:
    """It forks, and we adopt: the jobs' processes are our children, watched and reaped as any other.

    Whenever it cannot serve, `start` returns None, and the job is to be started cold.
    """

    def __init__(
        self, python: str, environment: Mapping[str, str], account: Account | None, umask: int
    ) -> None:
        """`environment`: what every job gets; `account`: whose the jobs are, and it as well."""
        self._python = python
        self._env = {"HOME": NO_HOME, **environment, proc.MARK: AREA}
        self._account = account
        self._umask = umask
        self._parent: _Parent | None = None
        self._not_before_s = 0.0

    def start(self, argv: Sequence[str], directory: Path, env: Mapping[str, str]) -> Started | None:
        """What `cold` does with the same words. Never raises."""
        if tuple(argv[:-1]) != (self._python, *FLAGS) or not self._suits(env):
            return None
        try:
            if self._parent is None:
                self._begin()
            elif self._parent.is_ready():
                request = {"directory": str(directory), "env": dict(env), "module": argv[-1]}
                return self._parent.fork(json.dumps(request).encode())
        except (OSError, ValueError) as error:
            self._fail(error)
        return None

    def close(self) -> None:
        """End it. Jobs that it began go on."""
        if self._parent is not None:
            self._parent.end()
            self._parent = None

    def _begin(self) -> None:
        if time.monotonic() >= self._not_before_s:
            self._parent = _Parent(self._python, self._env, self._account, self._umask)

    def _fail(self, error: Exception) -> None:
        """Another is started with the next job; later when this one never served, or did not answer."""
        is_sound = (
            self._parent is not None and self._parent.has_served and not isinstance(error, TimeoutError)
        )
        wait_s = 0.0 if is_sound else AGAIN_S
        log.warning("warm.failed", reason=str(error), again_in_s=wait_s)
        self._not_before_s = time.monotonic() + wait_s
        self.close()

    def _suits(self, env: Mapping[str, str]) -> bool:
        """False: the job asks for something that only a start of its own can give it."""
        names = {name for name in {*env, *self._env} if name.startswith(AT_START)}
        return all(env.get(name) == self._env.get(name) for name in names.difference(READ_AGAIN))


class _Parent:
    """Keeps one child ahead: a job that comes finds it waiting, and the next one is forked meanwhile."""

    def __init__(self, python: str, env: Mapping[str, str], account: Account | None, umask: int) -> None:
        """Raises OSError."""
        self._link, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = _started(python, its_end, env, account, umask)
        except BaseException:
            self._link.close()
            raise
        finally:
            its_end.close()
        self._link.settimeout(ANSWER_S)
        self._limits = b""
        self._is_ready = False
        self._ahead = _Ahead(self._link)
        self.has_served = False
        self._finalizer = weakref.finalize(self, _end, self._ahead, self._process)

    def is_ready(self) -> bool:
        """Whether it has imported all; from then on it can be asked. Raises OSError once it has ended."""
        if not self._is_ready:
            with suppress(BlockingIOError):
                if not self._link.recv(WORD_BYTES, socket.MSG_DONTWAIT):
                    raise ConnectionResetError(f"it ended while it started, with {self._process.wait()}")
                self._limits = _limits_of(self._process.pid)
                self._is_ready = True
                log.info("warm.ready", pid=self._process.pid)
        return self._is_ready

    def fork(self, request: bytes) -> Started | None:
        """Raises OSError, ValueError when it serves no longer. None: it could not for this job."""
        if len(request) > REQUEST_MOST_BYTES:
            return None
        child = self._ahead.take()
        try:
            self._require_unchanged(child)
            started = child.begin(request)
        except BaseException:
            child.end()
            raise
        if started is not None:
            self.has_served = True
            self._ahead.prepare()
        return started

    def end(self) -> None:
        self._finalizer()

    def _require_unchanged(self, child: "_Child") -> None:
        """A job of the same account may change them, and the next would inherit that. Raises OSError."""
        if _limits_of(child.pid) != self._limits:
            raise ConnectionRefusedError("its limits have been changed by somebody else")


class _Ahead:
    """The child that is ready for the next job, or on its way."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._adopting = kernel.Adopting()
        self._coming: socket.socket | None = None  # our end of the line to it
        self._child: _Child | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def prepare(self) -> None:
        """Ask for one; the loop takes it in when it comes. Never raises: the next job finds out."""
        try:
            self._ask()
        except OSError as error:
            log.info("warm.none_ahead", reason=str(error))
            self.close()
            return
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.link, self._arrived)

    def take(self) -> "_Child":
        """It, or one that is asked for now. Raises OSError, ValueError."""
        if self._child is None:
            if self._coming is None:
                self._ask()
            self._child = self._answer()
        child, self._child = self._child, None
        return child

    def close(self) -> None:
        """Never raises."""
        self._look_away()
        self.link.close()  # first: what is not forked by now is not forked
        if (line := self._settled()) is not None:
            _give_up(line)
        if self._child is not None:
            self._child.end()
            self._child = None

    def _ask(self) -> None:
        line, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_end:
            line.settimeout(ANSWER_S)
            self._adopting.begin()
            self._coming = line
            _send(self.link, b"fork", [its_end.fileno()])

    def _answer(self) -> "_Child":
        text = self.link.recv(WORD_BYTES)
        line = self._settled()
        assert line is not None  # noqa: S101 it was asked for
        try:
            if not text:
                raise ConnectionResetError("it has ended")  # noqa: TRY301 as what follows
            answer = json.loads(text)
            if answer["error"]:
                raise ConnectionRefusedError(answer["error"])  # noqa: TRY301 the same
            return _Child.on(line)
        except BaseException:
            _give_up(line)
            raise

    def _arrived(self) -> None:
        try:
            self._child = self._answer()
        except (OSError, ValueError) as error:
            log.info("warm.none_ahead", reason=str(error))
            self.close()

    def _settled(self) -> socket.socket | None:
        """Nothing is on its way any more; the line to what was, if anything."""
        self._look_away()
        line, self._coming = self._coming, None
        if line is not None:
            self._adopting.end()
        return line

    def _look_away(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self.link)
        self._loop = None


class _Child:
    """Forked, ours, and waiting for a job."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self._line = line

    @classmethod
    def on(cls, line: socket.socket) -> "_Child":
        """Who introduces itself on this line. Raises OSError, ValueError: nobody, or no child of ours."""
        text = line.recv(WORD_BYTES)
        if not text:
            raise ConnectionResetError("its child ended before it had a job")
        pid = int(json.loads(text)["pid"])
        # Where orphans cannot be adopted, who forks for us is of no use.
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return cls(pid, line)

    def begin(self, request: bytes) -> Started | None:
        """None: it could not for this job, and has ended. Raises OSError, ValueError."""
        stdin, gate = os.pipe()
        output, stdout = os.pipe()
        try:
            _send(self._line, request, [stdin, stdout])
            text = self._line.recv(WORD_BYTES)
            answer = json.loads(text)
        except BaseException:
            _close(gate, output)
            raise
        finally:
            _close(stdin, stdout)
        if answer["error"]:
            _close(gate, output)
            self.end()
            log.info("warm.declined", reason=answer["error"])
            return None
        self._line.close()
        return Started(self.pid, os.fdopen(gate, "wb", 0), os.fdopen(output, "rb", 0), None, peak_is_own=True)

    def end(self) -> None:
        self._line.close()
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _started(
    python: str, link: socket.socket, env: Mapping[str, str], account: Account | None, umask: int
) -> subprocess.Popen[bytes]:
    number = link.fileno()
    return subprocess.Popen(
        [python, "-u", "-B", str(HERE.with_name("zygote.py")), str(WRAPPER), str(number)],
        cwd="/",
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(number,),
        umask=umask,
        **as_account(account),
    )


def _limits_of(pid: int) -> bytes:
    """prlimit(2) may be forbidden for a process of another account, this file is not."""
    return (proc.PROC / str(pid) / "limits").read_bytes()


def _send(line: socket.socket, text: bytes, numbers: Sequence[int]) -> None:
    line.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))])


def _give_up(line: socket.socket) -> None:
    """End whoever is on this line, if it is ours."""
    with suppress(OSError, ValueError):
        _Child.on(line).end()
    line.close()


def _close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


def _end(ahead: _Ahead, process: subprocess.Popen[bytes]) -> None:
    ahead.close()
    process.kill()
    process.wait()
