"""The text of one running job on its way to the spool: in order, counted, bounded (I5)."""

import asyncio
from typing import Final

import structlog

from agent.database import WriteFailed
from agent.figures import FIGURES
from agent.jobs.model import Key
from agent.spool.spool import Spool

log = structlog.get_logger()

FLUSH_EVERY_S: Final = 0.5
FLUSH_CHARS: Final = 32 * 1024
DISK_RETRY_S: Final = 5.0
JOB_CHARS_MAX: Final = 16 * 1024 * 1024  # per job; what comes after is counted and named, not kept


class JobLog:
    """`write` is the executor's sink and never blocks; `run` flushes; `close` flushes what is left."""

    def __init__(self, spool: Spool, key: Key, start: int, header: str) -> None:
        """`start`: characters already kept of this attempt, by an earlier, interrupted run."""
        self._spool = spool
        self._key = key
        self._header = header
        self._length = start
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._dropped = 0
        self._some = asyncio.Event()  # there is text to keep
        self._full = asyncio.Event()  # there is much of it
        self._ended = False

    @property
    def length(self) -> int:
        """Characters of this attempt's log that are on disk."""
        return self._length

    def write(self, text: str) -> None:
        if not text:
            return
        if self._length + self._waiting_chars + len(text) > JOB_CHARS_MAX:
            self._dropped += len(text)
            return
        if self._length + self._waiting_chars == 0:
            text = self._header + text
        self._waiting.append(text)
        self._waiting_chars += len(text)
        self._some.set()
        if self._waiting_chars >= FLUSH_CHARS:
            self._full.set()

    async def run(self) -> None:
        """Flush half a second after text came, or at once when much is waiting, until `end`.

        A silent job wakes nobody. Never cancel it: text whose commit is under way would be kept, and nobody
        told to send it.
        """
        while not self._ended:
            await self._some.wait()
            try:
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await self._full.wait()
            except TimeoutError:
                pass
            self._some.clear()
            self._full.clear()
            await self._flush()

    def end(self) -> None:
        """The job writes no more; `run` returns soon."""
        self._ended = True
        self._some.set()
        self._full.set()

    async def close(self) -> None:
        """What is left goes to disk, and the gap if there is one (I5). Waits for the disk, as results do."""
        while True:
            if await self._flush(marks_gap=True):
                return
            await asyncio.sleep(DISK_RETRY_S)

    async def _flush(self, *, marks_gap: bool = False) -> bool:
        """False: the disk refused. A full disk may cost log text, never a result."""
        text = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        if text and not self._spool.room.may_log(len(text)):
            if not self._dropped:
                log.warning("joblog.over_limit", job_id=self._key[0])
            self._dropped += len(text)
            text = ""
        if not text and not (marks_gap and self._dropped):
            return True
        gap, self._dropped = self._dropped, 0
        marked = (f"\n[... {gap} bytes dropped: log limit ...]\n" if gap else "") + text
        start = self._length
        self._length += len(marked)
        try:
            await self._spool.add_log(self._key, start, marked)
        except WriteFailed as error:
            self._length = start
            self._dropped += gap + len(text)
            log.warning("joblog.dropped", job_id=self._key[0], characters=len(text), error=str(error))
            return False
        FIGURES.log_dropped += gap
        return True
