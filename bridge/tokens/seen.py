"""The agent tokens that have proved themselves, and who used them: what is left to know of one that ends."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from agent.clock import Clock
from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("seen.sql"))
REMEMBERED_MAX: Final = 100_000
KEPT_S: Final = 90 * 86_400.0  # after a token's end


class Standing(StrEnum):
    GOOD = "good"
    EXPIRED = "expired"  # its time was over: nobody has said anything against who used it
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Login:
    """A worker with a token that it has used, as the store has it."""

    worker: WorkerName
    token_id: TokenId
    tags: frozenset[Tag]
    standing: Standing
    expires_at: float


@dataclass(frozen=True, slots=True)
class User:
    worker: WorkerName
    is_last: bool  # the worker has used no other token since


class SeenTokens:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._noted: dict[WorkerName, TokenId] = {}  # what the store has as the last one; the store wins

    async def note(self, claims: Claims) -> None:
        """These claims have just been proved. Durable on return; costs a commit when the token is new."""
        if self._noted.get(claims.worker) == claims.token_id:
            return
        now_s = self._clock.wall_s()
        row = {
            "worker": claims.worker,
            "token_id": claims.token_id,
            "tags": json.dumps(sorted(claims.tags)),
            "expires_at": float(claims.expires_s),
            "now": now_s,
        }

        def keep(connection: Connection) -> None:
            connection.execute(SQL["forget_tokens"], {"before": now_s - KEPT_S})
            connection.execute(SQL["note_token"], row)
            connection.execute(SQL["note_login"], row)

        await self._store.write(keep)
        if len(self._noted) >= REMEMBERED_MAX:
            del self._noted[next(iter(self._noted))]
        self._noted[claims.worker] = claims.token_id

    async def tags_of(self, worker: WorkerName, token: TokenId) -> frozenset[Tag] | None:
        """None: no such agent has proved itself, or its token has ended."""
        rows = await self._rows("tags_of", {"worker": worker, "token_id": token})
        return frozenset(map(Tag, json.loads(rows[0]["tags"]))) if rows else None

    async def ending(self, revoked: Iterable[TokenId]) -> dict[TokenId, Standing]:
        """The tokens whose end has not been carried out, of these and of those whose time is over."""
        asked = {"now": self._clock.wall_s(), "revoked": json.dumps(sorted(revoked))}
        ending = {TokenId(row["token_id"]): Standing.EXPIRED for row in await self._rows("expired", asked)}
        for row in await self._rows("revoked", asked):
            ending[TokenId(row["token_id"])] = Standing.REVOKED
        return ending

    async def users_of(self, token: TokenId) -> list[User]:
        rows = await self._rows("users_of", {"token_id": token})
        return [User(row["worker"], bool(row["is_last"])) for row in rows]

    async def carried_out(self, token: TokenId, standing: Standing) -> None:
        """Its end is carried out. When it holds again, it is noted again."""
        row = {"token_id": token, "standing": standing}
        await self._store.write(lambda connection: connection.execute(SQL["set_standing"], row))
        self._noted = {worker: last for worker, last in self._noted.items() if last != token}

    async def logins(self) -> list[Login]:
        rows = await self._rows("logins", {})
        return [
            Login(
                row["worker"],
                row["token_id"],
                frozenset(map(Tag, json.loads(row["tags"]))),
                Standing(row["standing"]),
                row["expires_at"],
            )
            for row in rows
        ]

    async def _rows(self, name: str, values: dict[str, object]) -> list[Row]:
        return await self._store.read(lambda connection: connection.execute(SQL[name], values).fetchall())
