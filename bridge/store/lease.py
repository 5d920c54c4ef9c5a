"""Who leads among the bridges of one PostgreSQL database: a lease in one row, judged by the database's clock.

The leader says each `RENEW_S` that it is there. Another one follows it when it was not heard of for `LEASE_S`
(stopped, or cut off), or as soon as the connection on which it said so is gone (killed).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Final

import structlog

from agent.cancelling import apart
from agent.clock import Clock
from agent.logs import Secret
from bridge.store.fence import TERM, Deposed, Term
from bridge.store.leading import Part
from bridge.store.pg_line import TROUBLE, Line, open_line
from bridge.store.pg_session import first_line
from bridge.store.postgres import ALONE
from bridge.store.statements import queries

SQL: Final = queries(Path(__file__).with_name("lease.sql"))

LEASE_S: Final = 10.0
RENEW_S: Final = 2.0
LOOK_S: Final = 1.0  # how often a bridge that stands by looks
ANSWER_S: Final = 5.0  # the database has so long for each answer

log = structlog.get_logger()


class Lease:
    def __init__(self, url: Secret, holder: str, clock: Clock) -> None:
        """`holder` is for people."""
        self._url = url
        self._holder = holder
        self._clock = clock
        self._line: Line | None = None
        self.leads = False

    async def run(self, lead: Part, stand_by: Part) -> None:
        try:
            while True:
                epoch = await self._try_to_take() or await self._stand_by(stand_by)
                log.info("bridge.leads", epoch=epoch)
                self.leads = True
                try:
                    await apart(self._lead(epoch, lead))
                finally:
                    self.leads = False
                log.warning("bridge.deposed", epoch=epoch)
        finally:
            await self._hang_up()  # so that the next leader need not wait

    async def _stand_by(self, stand_by: Part) -> int:
        """Until this bridge leads; the number of its term."""
        log.info("bridge.stands_by")
        async with asyncio.TaskGroup() as group:
            standing = group.create_task(stand_by(), name="standing by")
            epoch = None
            while epoch is None:
                await asyncio.sleep(LOOK_S)  # who was killed or stopped tells nobody
                epoch = await self._try_to_take()
            standing.cancel()
        return epoch

    async def _lead(self, epoch: int, lead: Part) -> None:
        """Until the term is over, by whichever sign."""
        over = asyncio.Event()
        context = copy_context()
        context.run(TERM.set, Term(epoch, over.set))
        try:
            async with asyncio.TaskGroup() as group:
                leading = group.create_task(lead(), name="leading", context=context)
                await self._hold(epoch, over)
                leading.cancel()
        except* Deposed as errors:
            log.info("bridge.refused", reason=str(errors.exceptions[0]))

    async def _hold(self, epoch: int, over: asyncio.Event) -> None:
        """Returns when another bridge leads, or may lead: then nobody should wait for what we hold."""
        renewed_s = self._clock.monotonic_s()
        while not over.is_set() and self._clock.monotonic_s() - renewed_s < LEASE_S:
            asked_s = self._clock.monotonic_s()
            try:
                if not await self._renew(epoch):
                    return
                renewed_s = asked_s
            except TROUBLE as error:
                log.warning("lease.not_renewed", reason=first_line(error))
            await _set_within(over, RENEW_S)

    async def _renew(self, epoch: int) -> bool:
        async with self._answering() as line:
            values = {"epoch": epoch, "lease_s": LEASE_S}
            renewed = await line.execute(SQL["renew"].postgresql, values)
            return await renewed.fetchone() is not None

    async def _try_to_take(self) -> int | None:
        """The number of the term that begins; None: another bridge leads, or nobody can tell now."""
        try:
            async with self._answering() as line:
                if await (await line.execute(SQL["is_free"].postgresql)).fetchone() is None:
                    return None
                await line.execute(ALONE)  # no write of an earlier term is under way, none comes after this
                values = {"holder": self._holder, "lease_s": LEASE_S}
                taken = await (await line.execute(SQL["take"].postgresql, values)).fetchone()
                await line.execute("COMMIT")
        except TROUBLE as error:
            log.warning("lease.not_known", reason=first_line(error))
            return None
        return None if taken is None else int(taken[0])

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[Line]:
        """The line, for something that is done soon. After trouble the next one is new."""
        try:
            async with asyncio.timeout(ANSWER_S):
                if self._line is None:
                    self._line = await open_line(self._url)
                yield self._line
        except TROUBLE:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
