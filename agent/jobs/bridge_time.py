"""What the bridge's clock shows now: our monotonic clock and a difference that the bridge has told us."""

import json
import secrets
from contextlib import suppress
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.spool.spool import Spool
from agent.wire.messages import Settings

log = structlog.get_logger()

KEPT: Final = "bridge_time"


class BridgeTime:
    """Never ahead of the bridge by more than the two clocks drift: an answer is older when it is read.

    The difference outlives a restart of the agent, not one of the machine, whose monotonic clock begins anew.
    """

    def __init__(self, spool: Spool, clock: Clock) -> None:
        self._spool = spool
        self._clock = clock
        self._asked = ""
        self._asked_s = 0.0  # monotonic
        self.ahead_s: float | None = None  # the bridge's clock minus our monotonic one

    async def load(self) -> None:
        kept = await self._spool.get_meta(KEPT)
        with suppress(ValueError, TypeError, KeyError):  # damaged: it is learnt again at the next link
            known = json.loads(kept or "{}")
            if known.get("boot") == self._clock.boot_id():
                self.ahead_s = float(known["ahead_s"])

    def ask(self) -> str:
        """What a hello carries, so that only the answer to it is believed."""
        self._asked = secrets.token_hex(8)
        self._asked_s = self._clock.monotonic_s()
        return self._asked

    def is_asked_for(self, settings: Settings) -> bool:
        """Once, and what comes again is old. False also for the answer to a hello of an earlier link."""
        if not self._asked or settings.hello_id != self._asked:
            return False
        self._asked = ""
        return True

    async def learn_answer(self, bridge_wall_s: float) -> None:
        """It was on its way since we asked at most, and whoever carries it may have kept it for so long.

        What was learnt from nearer the bridge stays, as long as it can be true beside it.
        """
        latest_s = bridge_wall_s - self._asked_s
        if self.ahead_s is None or not self._ahead_s_by(bridge_wall_s) <= self.ahead_s <= latest_s:
            await self.learn(bridge_wall_s)

    def _ahead_s_by(self, bridge_wall_s: float) -> float:
        return bridge_wall_s - self._clock.monotonic_s()

    async def learn(self, bridge_wall_s: float) -> None:
        """The bridge's clock showed this a moment ago. What it says last is what counts."""
        self.ahead_s = self._ahead_s_by(bridge_wall_s)
        kept = json.dumps({"boot": self._clock.boot_id(), "ahead_s": self.ahead_s})
        try:
            await self._spool.set_meta(KEPT, kept)
        except WriteFailed as error:  # a full disk costs what a restart would have known
            log.warning("spool.refused", key=KEPT, error=str(error))

    def now_s(self) -> float | None:
        """Wall seconds of the bridge; None while nobody has told us."""
        return None if self.ahead_s is None else self.ahead_s + self._clock.monotonic_s()

    def clock_offset_ms(self) -> int | None:
        """By how much our wall clock is ahead of the bridge's now."""
        return self.offset_ms_of(self.wall_ahead_s())

    def wall_ahead_s(self) -> float:
        """Our wall clock minus our monotonic one: marks a moment, to be read once the bridge is known."""
        return self._clock.wall_s() - self._clock.monotonic_s()

    def offset_ms_of(self, wall_ahead_s: float | None) -> int | None:
        """The clock offset at the moment that was marked so."""
        if self.ahead_s is None or wall_ahead_s is None:
            return None
        return round((wall_ahead_s - self.ahead_s) * 1000)
