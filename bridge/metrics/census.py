"""What the store says of the whole cluster, counted for Prometheus: rarely, whoever and however many ask."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from agent.clock import Clock
from bridge.fleet.service import Fleet, Fleets
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("census.sql"))
FRESH_S: Final = 5.0
ROWS_FRESH_S: Final = 300.0  # the ledger keeps what has ended, so to count it takes long


@dataclass(frozen=True, slots=True)
class Lot:
    jobs: int
    oldest: float  # wall seconds of the bridge


@dataclass(frozen=True, slots=True)
class Census:
    """One moment of the cluster; `fleet` may be a second older."""

    now_s: float
    fleet: Fleet
    custody: Mapping[str, Lot] = field(default_factory=dict)
    queue: Mapping[str, Lot] = field(default_factory=dict)
    letters: Mapping[str, int] = field(default_factory=dict)
    quarantined: int = 0
    ledger_rows: int = 0


class Censuses:
    def __init__(self, store: Store, fleets: Fleets, clock: Clock) -> None:
        self._store = store
        self._fleets = fleets
        self._clock = clock
        self._taking = asyncio.Lock()
        self._taken: Census | None = None
        self._taken_s = 0.0  # monotonic
        self._rows = 0
        self._rows_s: float | None = None

    async def now(self) -> Census:
        """Not older than `FRESH_S` seconds. Raises `ReadFailed`."""
        async with self._taking:
            now_s = self._clock.monotonic_s()
            if self._taken is None or now_s - self._taken_s > FRESH_S:
                self._taken, self._taken_s = await self._take(now_s), now_s
            return self._taken

    async def _take(self, now_s: float) -> Census:
        fleet = await self._fleets.now()
        counts_rows = self._rows_s is None or now_s - self._rows_s > ROWS_FRESH_S
        empty = Census(self._clock.wall_s(), fleet, ledger_rows=self._rows)
        census = await self._store.read(lambda db: _counted(db, empty, counts_rows=counts_rows))
        if counts_rows:
            self._rows, self._rows_s = census.ledger_rows, now_s
        return census


def _counted(db: Connection, empty: Census, *, counts_rows: bool) -> Census:
    census = replace(
        empty,
        custody=_lots(db, "custody"),
        queue=_lots(db, "queue"),
        letters={row["kind"]: row["letters"] for row in db.execute(SQL["letters"])},
        quarantined=db.execute(SQL["quarantined"]).fetchone()["results"],
    )
    if not counts_rows:
        return census
    return replace(census, ledger_rows=db.execute(SQL["ledger_rows"]).fetchone()["jobs"])


def _lots(db: Connection, name: str) -> dict[str, Lot]:
    return {row["state"]: Lot(row["jobs"], row["oldest"]) for row in db.execute(SQL[name])}
