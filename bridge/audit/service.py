"""Who did what with a superadmin's rights: a chain of hashes in which nothing can be changed unseen."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from agent.clock import Clock
from bridge.jobs.model import rfc3339
from bridge.store.pages import Paged, window
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("audit.sql"))
BEFORE_THE_FIRST: Final = ""  # the hash that the first entry follows
AT_ONCE: Final = 1000  # entries that a check reads at a time

log = structlog.get_logger()


class Entry(Struct, frozen=True):
    """One entry as the API shows it. `parameters` is what was asked for, without secrets."""

    id: int
    timestamp: str | None
    username: str
    operation: str
    resource: str
    parameters: dict[str, Any]
    hash: str


class Checked(Struct, frozen=True):
    """`broken_at` is the first entry that does not follow from those before it. `head` is the last hash."""

    entries: int
    head: str
    broken_at: int | None


class Audit:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def note(self, username: str, operation: str, resource: str, **parameters: object) -> None:
        """Written before the deed: one without an entry cannot be, an entry of one that then failed can.

        The hash goes to our log too: whoever can change the store cannot change what was shipped from there.
        """
        entry = {
            "at": self._clock.wall_s(),
            "username": username,
            "operation": operation,
            "resource": resource.replace(
                "\0", "\ufffd"
            ),  # as PostgreSQL keeps it, so that the hash stays true
            "parameters": msgspec.json.encode(parameters).decode(),
        }

        def append(connection: Connection) -> tuple[int, str]:
            last = connection.execute(SQL["head"]).fetchone()
            number, before = (0, BEFORE_THE_FIRST) if last is None else last
            row = {**entry, "id": number + 1}
            digest = _hash_of(row, before)
            connection.execute(SQL["append"], {**row, "hash": digest})
            return number + 1, digest

        number, digest = await self._store.write(append)
        log.info("audit", id=number, username=username, operation=operation, resource=resource, hash=digest)

    async def listed(self, wanted: Paged) -> list[Entry]:
        """Newest first."""
        rows = await self._rows("listed", window(wanted))
        return [
            Entry(
                row["id"],
                rfc3339(row["at"]),
                row["username"],
                row["operation"],
                row["resource"],
                msgspec.json.decode(row["parameters"]),
                row["hash"],
            )
            for row in rows
        ]

    async def checked(self) -> Checked:
        """Go through the whole chain. What was cut off its end, only a head kept elsewhere can show."""
        last, head = 0, BEFORE_THE_FIRST
        while rows := await self._rows("after", {"id": last, "at_most": AT_ONCE}):
            for row in rows:
                if row["id"] != last + 1 or _hash_of(row, head) != row["hash"]:
                    return Checked(last, head, last + 1)
                last, head = row["id"], row["hash"]
        return Checked(last, head, None)

    async def _rows(self, query: str, values: dict[str, int]) -> Sequence[dict[str, Any]]:
        def read(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(SQL[query], values)]

        return await self._store.read(read)


def _hash_of(row: dict[str, Any], before: str) -> str:
    """SHA-256 over the hash before and the row's fields as one JSON list, in this order."""
    fields = ("id", "at", "username", "operation", "resource", "parameters")
    said = msgspec.json.encode([before, *(row[name] for name in fields)])
    return hashlib.sha256(said).hexdigest()
