"""Writes of many callers, taken in groups by one thread: those of a group share what a commit costs."""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

GROUP_MAX: Final = 256  # writes in one commit at most
QUEUE_MAX: Final = 10_000  # writes that may wait; at the bound callers wait too (I6)


@dataclass(slots=True)
class Write:
    """What one caller wants done; of `result` and `error` the thread sets one."""

    work: Callable[[Any], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """`commit` and `at_end` run in the thread. `commit` never raises: an error is a write's."""

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        commit: Callable[[list[Write]], None],
        at_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._commit = commit
        self._at_end = at_end
        self._writes: queue.Queue[Write | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def write(self, work: Callable[[Any], Any]) -> Any:
        """What `work` returns, once it is committed. Raises what the commit set as its error."""
        item = Write(work, self._loop.create_future())
        try:
            self._writes.put_nowait(item)
        except queue.Full:
            await asyncio.to_thread(self._writes.put, item)
        return await item.future

    async def close(self) -> None:
        """Once what waits is written."""
        await asyncio.to_thread(self._writes.put, None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        stopping = False
        while not stopping:
            first = self._writes.get()
            if first is None:
                break
            group = [first]
            while len(group) < GROUP_MAX and not self._writes.empty():
                item = self._writes.get_nowait()
                if item is None:
                    stopping = True
                    break
                group.append(item)
            self._commit(group)
            self._loop.call_soon_threadsafe(answer, group)
        self._at_end()


def answer(group: list[Write]) -> None:
    """In the callers' loop."""
    for item in group:
        if item.future.cancelled():
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)
