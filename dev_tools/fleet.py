"""Many agents' links in one process: each the real `Life` on a spool of its own, with the real AMQP link."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from agent.changes import Changes
from agent.clock import SystemClock
from agent.errors import AdmissionWaits, LinkDown
from agent.jobs.book import Book
from agent.life import Life
from agent.link.amqp import connect
from agent.link.enrol import ENROL_S, enrol_by
from agent.link.link import Enrolment, Link
from agent.logs import Secret
from agent.spool.spool import Spool
from agent.wire.tokens import bearer_of

OPENED_AT_ONCE: Final = 16
GREETED_PAUSE_S: Final = 0.01


class Member:
    """One agent of the fleet, and when what happened to it (monotonic seconds)."""

    def __init__(self, spool: Spool, client: httpx.AsyncClient, base_url: str, token: Secret) -> None:
        self._client = client
        self._base_url = base_url
        self._token = token
        clock = SystemClock()
        bearer = Secret(bearer_of(token.reveal(), spool.folder.identity))
        self.life: Final = Life(
            spool,
            Book(spool, clock),
            clock,
            enrol=self._enrol,
            connect=lambda enrolment: connect(enrolment, bearer),
            slots=1,
        )
        self.waits: Final[
            list[tuple[float, float]]
        ] = []  # when it was told its turn, and how far ahead that is
        self.admitted_s: Final[list[float]] = []
        self.unreached_s: Final[list[float]] = []  # the bridge did not answer, or could not enrol it
        self.up_s: Final[list[float]] = []
        self.came_up: Final = Changes()
        self._thrown_off = asyncio.Event()

    def throw_off(self) -> None:
        """Its link ends now, as when the network goes; it comes back by itself."""
        self._thrown_off.set()

    async def run(self) -> None:
        await self.life.run(self._one_life)

    async def _enrol(self, suffix: str, about: dict[str, Any]) -> Enrolment:
        try:
            enrolment = await enrol_by(self._client, self._base_url, self._token, suffix, about)
        except AdmissionWaits as turn:
            self.waits.append((time.monotonic(), turn.wait_s))
            raise
        except LinkDown:
            self.unreached_s.append(time.monotonic())
            raise
        self.admitted_s.append(time.monotonic())
        return enrolment

    async def _one_life(self, link: Link, _enrolment: Enrolment) -> None:
        self._thrown_off.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(link.lost(), name="link")
            while not self.life.link_up:  # noqa: ASYNC110 its greeting is on the way; nothing tells when it is over
                await asyncio.sleep(GREETED_PAUSE_S)
            self.up_s.append(time.monotonic())
            self.came_up.note()
            await self._thrown_off.wait()
            raise LinkDown("thrown off")


@asynccontextmanager
async def running_fleet(folder: Path, base_url: str, token: str, size: int) -> AsyncIterator[list[Member]]:
    """The fleet, on its way up, for as long as the block lasts."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)  # as separate machines would
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=ENROL_S, limits=limits))
        opening = asyncio.Semaphore(OPENED_AT_ONCE)

        async def opened(number: int) -> Spool:
            async with opening:
                return await Spool.open(folder / f"agent-{number}", SystemClock())

        async with asyncio.TaskGroup() as group:
            spools = [group.create_task(opened(number), name=f"spool {number}") for number in range(size)]
        for spool in spools:
            stack.push_async_callback(spool.result().close)
        members = [Member(spool.result(), client, base_url, Secret(token)) for spool in spools]
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(one.run(), name=f"life {n}") for n, one in enumerate(members)]
            try:
                yield members
            finally:
                for life in lives:
                    life.cancel()
