"""What the bridge wishes of an agent beside jobs: to take nothing new for a while, to be heard more often."""

from typing import Final

import structlog

from agent.changes import Changes
from agent.clock import Clock
from agent.database import WriteFailed
from agent.spool.spool import Spool
from agent.wire.messages import Intake, Settings

log = structlog.get_logger()

PING_EVERY_S: Final = 10.0
SOONEST_S: Final = 1.0  # no bridge makes us speak more often
LONGEST_S: Final = 300.0  # for so long at most, then it has to ask again
KEPT: Final = "intake"


class Wishes:
    """`closed` outlives a restart: who drains a site at night may find it rebooted in the morning."""

    def __init__(self, spool: Spool, clock: Clock, taking_changed: Changes) -> None:
        """`taking_changed` is told when the answer of `may_take` becomes another one."""
        self._spool = spool
        self._clock = clock
        self._taking_changed = taking_changed
        self._closed = False
        self._often_s = PING_EVERY_S
        self._often_until_s = 0.0  # monotonic
        self.pace_changed = Changes()

    async def load(self) -> None:
        self._closed = await self._spool.get_meta(KEPT) == Intake.CLOSED

    def may_take(self) -> bool:
        """Whether new jobs may come in. What is held runs on in any case."""
        return not self._closed

    def ping_every_s(self) -> float:
        return self._often_s if self._clock.monotonic_s() < self._often_until_s else PING_EVERY_S

    async def heed(self, said: Settings) -> None:
        """What it does not speak of stays as it is."""
        if said.ping_every_s > 0:
            self._often_s = min(PING_EVERY_S, max(SOONEST_S, said.ping_every_s))
            self._often_until_s = self._clock.monotonic_s() + min(LONGEST_S, said.ping_for_s)
            self.pace_changed.note()
        if said.intake is not Intake.AS_IT_IS and (said.intake is Intake.CLOSED) != self._closed:
            await self._turn(said.intake)

    async def _turn(self, intake: Intake) -> None:
        self._closed = intake is Intake.CLOSED
        log.info("intake.closed" if self._closed else "intake.open")
        self._taking_changed.note()
        self.pace_changed.note()  # whoever looks sees it at once
        try:
            await self._spool.set_meta(KEPT, intake)
        except WriteFailed as error:  # a full disk costs what a restart would have known
            log.warning("spool.refused", key=KEPT, error=str(error))
