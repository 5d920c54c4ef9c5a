"""Agent tokens that no longer hold, though their signature does (agent-api.md 1.5)."""

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from agent.clock import Clock
from agent.wire.claims import TokenId
from agent.wire.tokens import bare, said_by, token_id
from bridge.errors import BadRequest
from bridge.jobs.model import rfc3339
from bridge.jobs.news import News
from bridge.store.reading import SharedReading
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("tokens.sql"))
FRESH_S: Final = 2.0  # another process's entry counts here at the latest then
BY_ID: Final = "id:"  # begins an entry that names a token whose text is not at hand
EVER_S: Final = 253402300799.0  # the last second of the year 9999


class BlacklistedToken(Struct):
    """`token`: in any spelling, or `id:` and the id that the store knows it by."""

    token: str
    expires_at: datetime | None = None


class WhitelistedToken(Struct):
    token: str


class BlacklistFilter(Struct):
    include_expired: bool = False


class BlacklistRow(Struct):
    token: str
    expires_at: str | None
    blacklisted_at: str | None
    blacklisted_by: str


class Blacklist:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._reading = SharedReading(clock, FRESH_S, self._ends)
        self._told: frozenset[TokenId] = frozenset()
        self.news = News()  # by token

    async def holds(self, token: TokenId) -> bool:
        """Whether the token is refused now."""
        ends = await self._reading.value()
        return ends.get(token, 0.0) > self._clock.wall_s()

    async def all(self) -> frozenset[TokenId]:
        """The tokens that are refused now."""
        ends = await self._reading.value()
        now_s = self._clock.wall_s()
        return frozenset(token for token, ends_s in ends.items() if ends_s > now_s)

    async def add(self, asked: BlacklistedToken, by: str) -> None:
        """Refused from now on; without `expires_at` as long as it would have held. Raises `BadRequest`."""
        token = bare(asked.token)
        if not token:
            raise BadRequest("token is empty; give the token to refuse")
        row = {"token": token, "expires_at": _end_of(asked), "now": self._clock.wall_s(), "by": by}
        await self._store.write(lambda connection: connection.execute(SQL["blacklist"], row))
        self._reading.changed()
        self.news.note(id_of(token))

    async def remove(self, token: str) -> None:
        """It holds again, if it ever did."""
        row = {"token": bare(token)}
        await self._store.write(lambda connection: connection.execute(SQL["remove_blacklisted"], row))
        self._reading.changed()

    async def _ends(self) -> dict[TokenId, float]:
        """Token → when its entry ends."""
        ends = {id_of(row["token"]): row["expires_at"] for row in await self._rows(self._clock.wall_s())}
        for token in ends.keys() - self._told:  # another process has added it
            self.news.note(token)
        self._told = frozenset(ends)
        return ends

    async def listed(self, wanted: BlacklistFilter) -> list[BlacklistRow]:
        """Newest first."""
        after = 0.0 if wanted.include_expired else self._clock.wall_s()
        return [
            BlacklistRow(
                row["token"],
                rfc3339(row["expires_at"]),
                rfc3339(row["blacklisted_at"]),
                row["blacklisted_by"],
            )
            for row in await self._rows(after)
        ]

    async def _rows(self, after: float) -> list[dict[str, Any]]:
        def read(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(SQL["blacklisted"], {"after": after})]

        return await self._store.read(read)


def id_of(text: str) -> TokenId:
    """Of a token in any spelling, or of one that is named by its id."""
    return TokenId(text.removeprefix(BY_ID)) if text.startswith(BY_ID) else token_id(text)


def _end_of(asked: BlacklistedToken) -> float:
    if asked.expires_at is not None:
        if asked.expires_at.tzinfo is None:
            raise BadRequest("expires_at needs a time zone, for example 2030-01-01T00:00:00Z")
        return asked.expires_at.timestamp()
    try:
        return min(float(said_by(bare(asked.token))["exp"]), EVER_S)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError):
        return EVER_S
