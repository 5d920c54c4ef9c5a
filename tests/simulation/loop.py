"""An event loop whose time is a number: it jumps to the next timer, and orders things by its own count."""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final


class Stuck(Exception):
    """Nothing is left that could ever happen."""


class _Counted:
    """Hashed by a count and not by an address, so that sets of tasks have the same order in every run."""

    _number: int

    def __hash__(self) -> int:
        return self._number


class CountedTask(_Counted, asyncio.Task):
    pass


class CountedFuture(_Counted, asyncio.Future):
    pass


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no waiting. What is sent to a thread runs at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self.set_task_factory(_made)

    def time(self) -> float:
        return self.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """What is due together runs in the order in which it was asked for."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, self.numbers(), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def _run_once(self) -> None:
        """As the base's, without a selector: where that would wait, the clock moves on."""
        ready, timers = self._ready, self._timers
        while timers and (timers[0][2].cancelled() or (timers[0][0] <= self.now_s)):
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled():
                ready.append(timer)
        if not ready and not self._stopping:
            if not timers:
                raise Stuck
            self.now_s = timers[0][0]
            return
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()

    def numbers(self) -> int:
        """One that nothing else in this loop has."""
        self._count += 1
        return self._count

    def create_future(self) -> asyncio.Future[Any]:
        future = CountedFuture.__new__(CountedFuture)
        future._number = self.numbers()
        future.__init__(loop=self)
        return future

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 it belongs to whoever waits for the future
            future.set_exception(error)
        return future

    def _write_to_self(self) -> None:
        pass


OWNER: Final[contextvars.ContextVar["Owner | None"]] = contextvars.ContextVar("owner", default=None)


class Owner:
    """Whose tasks these are, so that all of them can end at once."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[Any], None] = {}


def _made(
    loop: VirtualLoop,
    coro: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
    context: contextvars.Context | None = None,
    **more: Any,
) -> asyncio.Task[Any]:
    task = CountedTask.__new__(CountedTask)
    task._number = loop.numbers()
    task.__init__(coro, loop=loop, context=context, **more)
    owner = OWNER.get() if context is None else context.get(OWNER)
    if owner is not None:
        owner.tasks[task] = None
        task.add_done_callback(owner.tasks.pop)
    return task
