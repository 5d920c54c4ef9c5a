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

    _number = 0

    def __hash__(self) -> int:
        if not self._number:
            self._number = self.get_loop().numbers()
        return self._number


class CountedTask(_Counted, asyncio.Task):
    pass


class CountedFuture(_Counted, asyncio.Future):
    pass


class Pause(CountedFuture):
    """A timer and what waits for it in one."""

    def run(self) -> None:
        if not self.done():
            self.set_result(None)


class Due:
    """A callback whose time comes: stands where `asyncio.Handle` stands, and is made a million times."""

    __slots__ = ("_args", "_callback", "_context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._context = contextvars.copy_context() if context is None else context

    def cancel(self) -> None:
        self._callback = None
        self._args = ()

    def cancelled(self) -> bool:
        return self._callback is None

    def run(self) -> None:
        if self._callback is not None:
            self._context.run(self._callback, *self._args)


OWNER: Final[contextvars.ContextVar["Owner | None"]] = contextvars.ContextVar("owner", default=None)


class Owner:
    """Whose tasks these are, so that all of them can end at once."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Any]] = []
        self._looks_at = 0  # so many: those that are done are dropped

    def owns(self, task: asyncio.Task[Any]) -> None:
        self.tasks.append(task)
        if len(self.tasks) > self._looks_at:
            self.tasks = [one for one in self.tasks if not one.done()]
            self._looks_at = 2 * len(self.tasks) + 50


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no waiting. What is sent to a thread runs at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._timers: list[tuple[float, int, Due | Pause]] = []
        self._count = 0

    def time(self) -> float:
        return self.now_s

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Due:
        """What is due together runs in the order in which it was asked for."""
        due = Due(callback, args, context)
        heapq.heappush(self._timers, (when, self.numbers(), due))
        return due

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Due:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Due:
        due = Due(callback, args, context)
        self._ready.append(due)
        return due

    def pause(self, seconds: float) -> Pause:
        """To be awaited: `asyncio.sleep` for the simulated parts, most of whose life is waiting."""
        pause = Pause(loop=self)
        heapq.heappush(self._timers, (self.now_s + seconds, self.numbers(), pause))
        return pause

    def _run_once(self) -> None:
        """All that happens until it is stopped. Where the base's would wait, the clock moves on."""
        ready, timers = self._ready, self._timers
        while not self._stopping:
            if ready:
                due = ready.popleft()
            elif timers:
                when, _, due = heapq.heappop(timers)
                self.now_s = max(self.now_s, when)
            else:
                raise Stuck
            try:
                due.run()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 as the base's
                self.call_exception_handler({"message": "a callback", "exception": error, "handle": due})

    def numbers(self) -> int:
        """One that nothing else in this loop has."""
        self._count += 1
        return self._count

    def create_future(self) -> asyncio.Future[Any]:
        return CountedFuture(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        task = CountedTask(coro, loop=self, name=name, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.owns(task)
        return task

    def run_in_executor(self, _executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 it belongs to whoever waits for the future
            future.set_exception(error)
        return future

    def _write_to_self(self) -> None:
        pass
