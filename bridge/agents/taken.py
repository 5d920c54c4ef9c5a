"""What a foreign cluster last said of the tokens that it took once: in the store, to outlive an outage."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.clock import Clock
from agent.wire.claims import Claims, TokenId
from bridge.store.reading import SharedReading
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("taken.sql"))
NOTED_EVERY_S: Final = 600.0  # that it is taken still is written down no more often
LATE_S: Final = 2 * NOTED_EVERY_S  # what was noted so long before the last of all was good when that was
NOTED_MAX: Final = 10_000  # bearers; of one that is forgotten it is written down once more (I6)
KEPT_S: Final = 90 * 86_400.0  # after a token's end
FRESH_S: Final = 1.0  # another bridge's refusal counts here at the latest then
IN_USE_S: Final = 60.0  # an agent that is linked says every 10 s that it is there
IN_USE_FRESH_S: Final = 2.0
RENEWED_MAX: Final = 20  # agents that are asked to enrol again in one look: each link begins anew with that


class TakenTokens:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted: dict[str, float] = {}  # monotonic, by bearer; the store wins
        self._refused = SharedReading(clock, FRESH_S, self._read_refused)
        self._in_use = SharedReading(clock, IN_USE_FRESH_S, self._read_in_use)
        self._renewed: dict[TokenId, float] = {}  # monotonic: who was asked to enrol again, and when

    async def note(self, bearer: str, claims: Claims) -> None:
        """The cluster takes it. Durable on return, unless that was written down lately."""
        now_s = self._clock.monotonic_s()
        noted_s = self._noted.get(bearer)
        if noted_s is not None and now_s - noted_s < NOTED_EVERY_S:
            return
        wall_s = self._clock.wall_s()
        row = _of(bearer, claims.token_id) | {"expires_at": float(claims.expires_s), "now": wall_s}

        def write(connection: Connection) -> None:
            connection.execute(SQL["forget"], {"before": wall_s - KEPT_S})
            connection.execute(SQL["note"], row)
            connection.execute(SQL["take_again"], row)

        await self._store.write(write)
        self._refused.changed()
        self._noted.pop(bearer, None)
        if len(self._noted) >= NOTED_MAX:
            del self._noted[next(iter(self._noted))]
        self._noted[bearer] = now_s

    async def refuse(self, bearer: str, token: TokenId) -> None:
        """The cluster takes it no more. Of one that it never took nothing is written down."""
        row = _of(bearer, token)
        await self._store.write(lambda connection: connection.execute(SQL["refuse"], row).rowcount)
        self._noted = {one: at_s for one, at_s in self._noted.items() if one != bearer}
        self._refused.changed()

    async def was_good(self, bearer: str, token: TokenId) -> bool:
        """Whether the cluster took it until it was last heard of."""
        return bool(await self._rows("was_good", _of(bearer, token) | {"late_s": LATE_S}))

    async def refused(self) -> frozenset[TokenId]:
        """Those that were taken once and are no more, whichever bridge of this store has learnt it."""
        return await self._refused.value()

    async def in_use(self) -> frozenset[TokenId]:
        """By an agent that is linked."""
        return await self._in_use.value()

    async def renew_unasked(self) -> None:
        """Ask linked agents to enrol again whose token nobody can ask about: after that, we can.

        Of one token once in `LATE_S`, for another bridge may be the one that learns it.
        """
        now_s, wall_s = self._clock.monotonic_s(), self._clock.wall_s()
        self._renewed = {token: at_s for token, at_s in self._renewed.items() if now_s - at_s < LATE_S}
        rows = await self._rows("unasked", {"since": wall_s - IN_USE_S, "before": wall_s - LATE_S})
        wanted = [row for row in rows if row["token_id"] not in self._renewed][:RENEWED_MAX]
        if wanted:
            workers = [{"worker": row["worker"]} for row in wanted]
            await self._store.write(lambda connection: connection.executemany(SQL["renew"], workers))
            self._renewed |= {TokenId(row["token_id"]): now_s for row in wanted}

    async def _read_refused(self) -> frozenset[TokenId]:
        return frozenset(TokenId(row["token_id"]) for row in await self._rows("refused", {}))

    async def _read_in_use(self) -> frozenset[TokenId]:
        since = {"since": self._clock.wall_s() - IN_USE_S}
        return frozenset(TokenId(row["token_id"]) for row in await self._rows("in_use", since))

    async def _rows(self, name: str, values: Mapping[str, object]) -> list[Row]:
        return await self._store.read(lambda connection: connection.execute(SQL[name], values).fetchall())


def _of(bearer: str, token: TokenId) -> dict[str, object]:
    return {"bearer": hashlib.sha256(bearer.encode()).hexdigest(), "token_id": token}
