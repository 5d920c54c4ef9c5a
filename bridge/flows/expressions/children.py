"""A few processes that evaluate; one that hangs or dies is ended and costs nobody else anything."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, Final

from bridge.flows.expressions.frames import LENGTH, packed, unpacked

PROGRAM: Final = "bridge.flows.expressions.child"


class ChildDied(Exception):
    """It ended in the middle of an evaluation, of which nothing is known."""


class Child:
    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    async def started(cls) -> "Child":
        """It knows nothing of us: no environment but where Python finds its modules, no files."""
        places = ":".join(place for place in sys.path if place)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-s", "-m", PROGRAM,
            stdin=PIPE, stdout=PIPE, env={"PYTHONPATH": places, "TZ": "UTC", "LANG": "C.UTF-8"},
            cwd="/", start_new_session=True,
        )  # fmt: skip
        return cls(process)

    async def answer(self, message: bytes) -> dict[str, Any]:
        """Raises `ChildDied`."""
        to_it, from_it = self.process.stdin, self.process.stdout
        if to_it is None or from_it is None:
            raise ChildDied
        try:
            to_it.write(message)
            await to_it.drain()
            head = await from_it.readexactly(LENGTH.size)
            return unpacked(await from_it.readexactly(*LENGTH.unpack(head)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildDied from error

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


class Children:
    """At most `most` at a time, each begun when all others are busy, and kept for the next."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)
        self._idle: list[Child] = []

    async def ask(self, request: dict[str, Any], patience_s: float) -> dict[str, Any]:
        """Raises `TimeoutError` after `patience_s` of evaluating, and `ChildDied`."""
        message = packed(request)
        async with self._places:
            while self._idle:
                with suppress(ChildDied):  # it may have died in its sleep: a fresh one tells the truth
                    return await self._ask(self._idle.pop(), message, patience_s)
            return await self._ask(await Child.started(), message, patience_s)

    async def close(self) -> None:
        while self._idle:
            child = self._idle.pop()
            child.end()
            await child.process.wait()

    async def _ask(self, child: Child, message: bytes, patience_s: float) -> dict[str, Any]:
        is_whole = False
        try:
            async with asyncio.timeout(patience_s):
                answer = await child.answer(message)
            is_whole = True
        finally:  # also when we are cancelled: nobody would know then what it answers
            if is_whole:
                self._idle.append(child)
            else:
                child.end()
        return answer
