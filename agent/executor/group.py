"""One process group: started, read from, signalled, reaped (DESIGN section 6)."""

import asyncio
import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent.executor import proc
from agent.executor.account import Account
from agent.executor.output import Output

READ_BYTES: Final = 256 * 1024
OUTPUT_AFTER_EXIT_S: Final = 1.0  # how long a process that left the group may keep the output open
FIRST_SAMPLE_S: Final = 0.02
SAMPLE_EVERY_S: Final = 1.0


class Group:
    """Its leader is ours to reap, so until `exited` is done no other group can have its number.

    The leader is watched by a pidfd instead of the loop's child watcher: the rest of the group is
    killed while the leader is still a zombie, and the kernel tells its memory peak when it is reaped.
    """

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        output: Output,
        *,
        account: Account | None = None,
        umask: int = -1,
    ) -> None:
        """Start it, as `account` or as ourselves; `umask`: -1 for our own.

        Raises OSError when it cannot be started, ValueError for a NUL in `env`.
        """
        self._loop = asyncio.get_running_loop()
        self._output = output
        self._process = subprocess.Popen(
            argv,
            cwd=directory,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,
            umask=umask,
            **_as(account),
        )
        self.pid: Final = self._process.pid
        self.exited: asyncio.Future[int] = self._loop.create_future()  # as subprocess: -N for signal N
        self.peak_kb: int | None = None
        self._silent: asyncio.Future[None] = self._loop.create_future()
        self._sample_after_s = FIRST_SAMPLE_S
        self._sampling = self._loop.call_later(FIRST_SAMPLE_S, self._sample)
        self._watch()

    def begin(self, limits: str) -> None:
        """Open the gate at which the interpreter waits (see `Language.prepare`)."""
        assert self._process.stdin is not None  # noqa: S101 asked for above
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.write(f"{limits}\n".encode())
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to all of it, `grace_s` for the leader to end, then SIGKILL to all of it."""
        self.signal(signal.SIGTERM)
        await asyncio.wait([self.exited], timeout=grace_s)
        await self.kill()

    async def kill(self) -> None:
        """Return when the leader is reaped. Whoever is left of the group has been killed, too."""
        self.signal(signal.SIGKILL)
        await asyncio.wait([self.exited])

    async def silence(self) -> bool:
        """Take in what is still in the pipe. False: somebody outside the group keeps it open."""
        await asyncio.wait([self._silent], timeout=OUTPUT_AFTER_EXIT_S)
        return self._silent.done()

    def close(self) -> None:
        """Read no further. The process itself is reaped all the same, when it ends."""
        self._close_output()
        self._output.finish()

    def _watch(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 asked for above
        self._pipe = self._process.stdout.fileno()
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
            raise
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._readable)
        self._loop.add_reader(self._pidfd, self._ended)

    def _readable(self) -> None:
        try:
            chunk = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._output.feed(chunk)
        else:
            self._close_output()

    def _close_output(self) -> None:
        if not self._silent.done():
            self._loop.remove_reader(self._pipe)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._silent.set_result(None)

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._sampling.cancel()
        self.signal(signal.SIGKILL)  # children that outlived the leader
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._note_peak(usage.ru_maxrss)
        self.exited.set_result(self._process.returncode)

    def _note_peak(self, reaped_kb: int) -> None:
        """A forked child starts out with its parent's peak, so only a larger figure is its own."""
        if reaped_kb > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            self.peak_kb = max(self.peak_kb or 0, reaped_kb)

    def _sample(self) -> None:
        if peak_kb := proc.tree_peak_kb(self.pid):
            self.peak_kb = max(self.peak_kb or 0, peak_kb)
        self._sample_after_s = min(self._sample_after_s * 2, SAMPLE_EVERY_S)
        self._sampling = self._loop.call_later(self._sample_after_s, self._sample)


def _as(account: Account | None) -> dict[str, Any]:
    """Set between fork and exec by the interpreter's own C code; no group but the account's is left."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
