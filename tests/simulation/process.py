"""A process of the product that can be killed: its tasks end at once and can touch nothing any more."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from tests.simulation.loop import OWNER, Owner, VirtualLoop


class Killed(BaseException):
    """Raised at whatever a dead process still tries to do. No `except Exception` of the product sees it."""


class Process(Owner):
    """One life. Every call that leaves the process goes through `step`, where a planned death may come."""

    def __init__(self, loop: VirtualLoop, name: str, *, dies_at_step: int | None = None) -> None:
        super().__init__()
        self.loop = loop
        self.name = name
        self.number = loop.numbers()  # no other process of the history has it
        self.alive = True
        self.steps = 0
        self.at_death: list[Callable[[], None]] = []
        self.main: asyncio.Task[Any] | None = None
        self._dies_at_step = dies_at_step
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        self.main = self.spawn(main)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return self.loop.create_task(work, context=self._context.copy())

    def step(self) -> None:
        """Raises `Killed` when the process is dead, or dies here."""
        self.steps += 1
        if self.alive and self.steps == self._dies_at_step:
            self.kill()
        if not self.alive:
            raise Killed

    def is_doomed(self) -> bool:
        """Its planned death is still to come."""
        return self.alive and self._dies_at_step is not None and self.steps < self._dies_at_step

    def kill(self) -> None:
        """`kill -9`, or the power goes: nothing runs on; what was in flight may or may not have arrived."""
        if not self.alive:
            return
        self.alive = False
        for task in list(self.tasks):
            task.cancel()
        for told in self.at_death:
            told()

    def failure(self) -> BaseException | None:
        """What ended it, if it ended by itself."""
        if not self.alive or self.main is None or not self.main.done():
            return None
        return self.main.exception() or RuntimeError("it returned")
