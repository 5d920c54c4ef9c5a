"""Rotation without a visit: a new token waits for whoever enrols with the old one, and then ends it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import structlog

from agent.clock import Clock
from agent.wire.claims import Claims, TokenId
from agent.wire.tokens import token_id
from bridge.store.reading import SharedReading
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store
from bridge.tokens.blacklist import id_of

SQL: Final = queries(Path(__file__).with_name("devices.sql"))

FRESH_S: Final = 2.0

End = Callable[[str], Awaitable[None]]

log = structlog.get_logger()


class Successors:
    """Handed over only in the answer to an enrolment: over HTTPS, to a device that has proved its key."""

    def __init__(self, store: Store, clock: Clock, end: End) -> None:
        """`end`: makes a token that is not in use any more worthless."""
        self._store = store
        self._clock = clock
        self._end = end
        self._asked_to = SharedReading(clock, FRESH_S, self._all_asked_to)

    async def name(self, old: str, new: str) -> None:
        """From now on `new` takes the place of `old`; its agents are told over their links to enrol again."""
        await self._succeed(id_of(old), old, new)

    async def name_for(self, old: TokenId, new: str) -> None:
        """The same where the old one is known by its id only: its own cluster has to end it."""
        await self._succeed(old, "", new)

    async def listed(self) -> list[dict[str, Any]]:
        """Every agent that has enrolled, with its token, and the one that waits for it."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(SQL["tokens_in_use"])]

        return await self._store.read(read)

    async def _succeed(self, old_id: TokenId, old: str, new: str) -> None:
        row = {
            "token_id": old_id,
            "old_token": old,
            "token": new,
            "successor_id": token_id(new),
            "now": self._clock.wall_s(),
        }

        def write(connection: Connection) -> None:
            connection.execute(SQL["succeed"], row)
            connection.execute(SQL["renew_token"], row)

        await self._store.write(write)
        self._asked_to.changed()

    async def of(self, bearer: str) -> str:
        """The token to hand over to whoever uses this one; empty when there is none."""
        row = await self._one("successor", {"token_id": token_id(bearer)})
        return "" if row is None else str(row["token"])

    async def has(self, token: TokenId) -> bool:
        """Whether another token was to take this one's place: its end is then no sign of distrust."""
        return await self._one("is_succeeded", {"token_id": token}) is not None

    async def note_use(self, bearer: str, claims: Claims) -> None:
        """A token that its agent has taken over ends the old one. A shared one is not every agent's yet."""
        if claims.shared:
            return
        values = {"successor_id": token_id(bearer), "now": self._clock.wall_s()}
        taken = await self._store.write(lambda db: db.execute(SQL["taken"], values).fetchall())
        for (old,) in taken:
            if old:  # else only its own cluster can
                await self._end(old)
            log.info("token.succeeded", worker=claims.worker)

    async def must_renew(self, worker: str) -> bool:
        """Whether this agent should enrol again, and has not yet. Thousands ask with each pull, so it is
        learnt for all of them at once, `FRESH_S` late at most; a yes is always the store's own.
        """
        asked_to = await self._asked_to.value()
        return worker in asked_to and await self._one("must_renew", {"worker": worker}) is not None

    async def _all_asked_to(self) -> frozenset[str]:
        """The workers that are to enrol again."""
        rows = await self._store.read(lambda db: db.execute(SQL["all_to_renew"]).fetchall())
        return frozenset(row["worker"] for row in rows)

    async def _one(self, query: str, values: dict[str, Any]) -> Row | None:
        row: Row | None = await self._store.read(lambda db: db.execute(SQL[query], values).fetchone())
        return row
