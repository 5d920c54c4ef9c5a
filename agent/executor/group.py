"""One process group: started, read from, signalled, reaped (DESIGN section 6)."""

import asyncio
import os
import resource
import signal
from contextlib import suppress
from typing import Final

from agent.executor import proc
from agent.executor.output import Output
from agent.executor.started import Started

READ_BYTES: Final = 256 * 1024
OUTPUT_AFTER_EXIT_S: Final = 1.0  # how long a process that left the group may keep the output open
FIRST_SAMPLE_S: Final = 0.02
SAMPLE_EVERY_S: Final = 1.0


class Group:
    """Its leader is ours to reap, so until `exited` is done no other group can have its number.

    The leader is watched by a pidfd instead of the loop's child watcher: the rest of the group is
    killed while the leader is still a zombie, and the kernel tells its memory peak when it is reaped.
    """

    def __init__(self, started: Started, output: Output) -> None:
        """Take over a process that waits at its gate. Raises OSError; then it is gone."""
        self._loop = asyncio.get_running_loop()
        self._started = started
        self._output = output
        self.pid: Final = started.pid
        self.exited: asyncio.Future[int] = self._loop.create_future()  # as subprocess: -N for signal N
        self.peak_kb: int | None = None
        self._silent: asyncio.Future[None] = self._loop.create_future()
        self._sample_after_s = FIRST_SAMPLE_S
        self._sampling = self._loop.call_later(FIRST_SAMPLE_S, self._sample)
        self._watch()

    def begin(self, limits: str) -> None:
        """Open the gate at which the interpreter waits (see `Language.prepare`)."""
        with suppress(BrokenPipeError):  # it has ended already
            self._started.gate.write(f"{limits}\n".encode())
        self._started.gate.close()

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
        self._pipe = self._started.output.fileno()
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except OSError:
            os.killpg(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self._started.note_end(os.waitstatus_to_exitcode(status))
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
            self._started.output.close()
            self._silent.set_result(None)

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._started.gate.close()
        self._sampling.cancel()
        self.signal(signal.SIGKILL)  # children that outlived the leader
        _, status, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._started.note_end(code)
        self._note_peak(usage.ru_maxrss)
        self.exited.set_result(code)

    def _note_peak(self, reaped_kb: int) -> None:
        """A process that we forked starts out with our own peak, so only a larger figure is its own."""
        if self._started.peak_is_own or reaped_kb > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            self.peak_kb = max(self.peak_kb or 0, reaped_kb)

    def _sample(self) -> None:
        if peak_kb := proc.tree_peak_kb(self.pid):
            self.peak_kb = max(self.peak_kb or 0, peak_kb)
        self._sample_after_s = min(self._sample_after_s * 2, SAMPLE_EVERY_S)
        self._sampling = self._loop.call_later(self._sample_after_s, self._sample)
