"""A script's text on its way to its record: in order, and each piece once (I5)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from agent.database import WriteFailed
from bridge.errors import NotFound

FLUSH_S: Final = 0.5
AGAIN_S: Final = 2.0  # while the store is away

log = structlog.get_logger()

# Text, and how many characters of the same stream came before it.
Append = Callable[[str, int], Awaitable[None]]


class ScriptLog:
    """What it holds is bounded by the executor's limit for a job's output (I6)."""

    def __init__(self, append: Append) -> None:
        self._append = append
        self._pending: list[str] = []
        self._sent_chars = 0
        self._news = asyncio.Event()

    def write(self, text: str) -> None:
        """Implements the executor's `Sink`."""
        self._pending.append(text)
        self._news.set()

    async def run(self) -> None:
        """For ever: what is written leaves."""
        while True:
            await self._news.wait()
            await asyncio.sleep(FLUSH_S if await self.flush() else AGAIN_S)

    async def close(self) -> None:
        """Returns once all that was written has left."""
        while True:
            if await self.flush():
                return
            await asyncio.sleep(AGAIN_S)

    async def flush(self) -> bool:
        """False: the store refused it, and it stays here."""
        self._news.clear()
        text = "".join(self._pending)
        if not text:
            return True
        self._pending = [text]
        try:
            await self._append(text, self._sent_chars)
        except WriteFailed as error:
            log.warning("log.waits_for_the_store", chars=len(text), reason=str(error))
            self._news.set()
            return False
        except NotFound as error:  # the same again would not be found again
            log.warning("log.declined", chars=len(text), reason=str(error))
        self._pending[0:1] = []
        self._sent_chars += len(text)
        return True
