"""What is kept of the fleet beside its present: who was away and when, and who was there in which month."""

import asyncio
from pathlib import Path
from time import gmtime, strftime
from typing import Any, Final

import structlog

from agent.clock import Clock
from agent.database import DatabaseError
from bridge.fleet.model import HTTP_SILENCE_S, PING_S
from bridge.fleet.service import MONTHS
from bridge.relay.presence import Presence
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("fleet.sql"))
LOOK_EVERY_S: Final = 5.0
RECORD_EVERY_S: Final = 1.0
PATIENCE_S: Final = 5.0  # a shorter silence is no outage
KEPT_S: Final = 2 * 86_400.0  # a strip shows one day
GONE_S: Final = 30 * 86_400.0
SILENT: Final = ("silent", "silent_over_http")
LISTEN_FIRST_S: Final = 40.0  # after a start: whoever is there has spoken by then
MONTH_EVERY_S: Final = 30.0

log = structlog.get_logger()


class Keeping:
    """Run by the bridge that leads: the one that hears the agents."""

    def __init__(self, store: Store, clock: Clock, presence: Presence) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence

    async def run(self) -> None:
        """For ever."""
        began_s, looked_s, months_s = self._clock.monotonic_s(), -LOOK_EVERY_S, -MONTH_EVERY_S
        while True:
            now_s = self._clock.monotonic_s()
            try:
                if self._presence.is_looked_at:
                    await self._presence.record()  # whoever looks may do so at another bridge
                if now_s - looked_s >= LOOK_EVERY_S:
                    looked_s = now_s
                    await self.look(may_begin=now_s - began_s > LISTEN_FIRST_S)
                if now_s - months_s >= MONTH_EVERY_S:
                    months_s = now_s
                    await self.count_months()
            except DatabaseError as error:
                log.warning("fleet.not_kept", reason=str(error))
            await asyncio.sleep(RECORD_EVERY_S)

    async def look(self, *, may_begin: bool) -> None:
        """Outages end and, where `may_begin`, begin: a bridge that has just started has heard nobody yet."""
        now_s = self._clock.wall_s()
        values = {
            "now": now_s,
            "since": now_s - KEPT_S,
            "http": now_s - HTTP_SILENCE_S,
            "ping_s": PING_S,
            "patience_s": PATIENCE_S,
        }
        over = {"before": now_s - KEPT_S, "long_before": now_s - GONE_S}

        def read(db: Connection) -> tuple[list[dict[str, Any]], list[dict[str, Any]], bool]:
            ended = [dict(row) for row in db.execute(SQL["heard_again"])]
            names = SILENT if may_begin else ()
            begun = [dict(row) for name in names for row in db.execute(SQL[name], values)]
            return ended, begun, db.execute(SQL["any_outage_to_forget"], over).fetchone() is not None

        ended, begun, is_some_over = await self._store.read(read)

        def write(db: Connection) -> None:
            db.executemany(SQL["end_outage"], ended)
            db.executemany(SQL["begin_outage"], begun)
            db.execute(SQL["forget_outages"], over)

        if ended or begun or is_some_over:
            await self._store.write(write)

    async def count_months(self) -> None:
        """Who has been there since the last count was there in this month."""
        now_s = self._clock.wall_s()
        month = {"month": _month(now_s)}
        values = {**month, "since": now_s - 2 * MONTH_EVERY_S}
        oldest = {"before": _month(now_s - (MONTHS + 1) * 31 * 86_400)}
        rows = await self._store.read(lambda db: db.execute(SQL["uncounted"], values).fetchall())
        counted = [month | {"worker": row["worker"]} for row in rows]

        def write(db: Connection) -> None:
            db.executemany(SQL["note_month"], counted)
            db.execute(SQL["forget_months"], oldest)

        if counted:
            await self._store.write(write)


def _month(wall_s: float) -> str:
    return strftime("%Y-%m", gmtime(wall_s))
