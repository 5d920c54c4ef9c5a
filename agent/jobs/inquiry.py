"""Asks after what the broker confirmed and the bridge has not answered: a broker can lose what it holds.

The question travels behind the results, on their way. When its answer has come, each of them has been dealt
with; one that has no receipt then is lost, and leaves again. It costs nothing while all is well: only an old
result is asked after, and only a job that waits for its grant is announced once more.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import structlog

from agent.clock import Clock
from agent.jobs.book import Book
from agent.link.link import Link
from agent.spool.spool import Spool
from agent.wire.messages import Ping, Settings

log = structlog.get_logger()

OLD_S: Final = 600.0  # a result without its receipt for so long is asked after; and so often at most
ASKED_MAX: Final = 100  # questions whose answers may still come


class Inquiry:
    """Lives as long as the agent; each life of the link runs `run`."""

    def __init__(self, book: Book, spool: Spool, clock: Clock) -> None:
        self._book = book
        self._spool = spool
        self._clock = clock
        self._next_s = clock.monotonic_s()
        self._asked: dict[str, float] = {}  # question → what was sent before it (`lived_s`)

    async def run(self, link: Link, ping: Callable[[str], Ping]) -> None:
        while True:
            await asyncio.sleep(self._next_s - self._clock.monotonic_s())
            self._book.announce_waiting()
            if (await self._spool.oldest_sent_s() or 0.0) >= OLD_S:
                await link.publish("result", [ping(self._question())])
            self._next_s = self._clock.monotonic_s() + OLD_S

    async def heed(self, answer: Settings) -> None:
        """Send what is lost once more. The answer to a hello is none of ours."""
        if (before_s := self._asked.pop(answer.hello_id, None)) is None:
            return
        if missed := await self._book.send_again(before_s):
            log.warning("results.missed", results=missed)

    def _question(self) -> str:
        if len(self._asked) == ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        question = secrets.token_hex(8)
        self._asked[question] = self._spool.lived_s
        return question
