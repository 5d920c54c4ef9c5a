"""Where results in quarantine stand, and what was asked of each and decided: one row each, in the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from agent.clock import Clock
from agent.wire import quarantine
from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("shelf.sql"))
KEPT_S: Final = 90 * 86_400.0  # as long as a closed row of the ledger
RESULTS_MAX: Final = (
    1000  # offered by one worker and not decided yet (I6): as many jobs as an agent holds ahead
)
BYTES_MAX: Final = 64 * 1024 * 1024  # of their documents: one may be as large as a result ever is
WISHES_MAX: Final = 100  # in one look


class Link(StrEnum):
    """By which a result came."""

    AMQP = "amqp"
    HTTP = "http"  # with a token that was refused


class Wish(StrEnum):
    """What an operator asked for on the command line."""

    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Kept:
    """The place of one result in quarantine."""

    job_id: JobId
    attempt: Attempt
    worker: WorkerName


class Shelf:
    """Every write returns after its fsync."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def keep(self, kept: Kept, result: bytes, document: bytes | None, link: Link = Link.AMQP) -> None:
        """However much waits already: its sender has let go of it, or may."""
        await self._execute("keep", kept, result=result, document=document, link=link)

    async def offer(self, kept: Kept, result: bytes, document: bytes) -> str:
        """How it stands now, in the words of `wire.quarantine`; empty when there is no room for it (I6)."""
        values = _of(kept) | {
            "now": self._clock.wall_s(), "result": result, "document": document, "link": Link.HTTP,
        }  # fmt: skip

        def write(db: Connection) -> str:
            standing = _standing(db.execute(SQL["standing"], values).fetchone())
            if standing == quarantine.WANTED:
                used = db.execute(SQL["used"], values).fetchone()
                if used["results"] >= RESULTS_MAX or used["bytes"] + len(document) > BYTES_MAX:
                    return ""
                db.execute(SQL["keep"], values)
                return quarantine.KEPT
            return standing

        return await self._store.write(write)

    async def standing(self, kept: Kept) -> str:
        """In the words of `wire.quarantine`; empty when there is no room for one more of this worker's."""

        def read(db: Connection) -> str:
            standing = _standing(db.execute(SQL["standing"], _of(kept)).fetchone())
            used = db.execute(SQL["used"], _of(kept)).fetchone()
            is_full = used["results"] >= RESULTS_MAX or used["bytes"] >= BYTES_MAX
            return "" if standing == quarantine.WANTED and is_full else standing

        return await self._store.read(read)

    async def listed(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._fetch("listed", {})]

    async def undecided(self, kept: Kept) -> Mapping[str, Any] | None:
        """`result`, `document` and `link`."""
        rows = await self._fetch("undecided", _of(kept))
        return dict(rows[0]) if rows else None

    async def decide(self, kept: Kept, decision: str, by: str) -> None:
        await self._execute("decide", kept, decision=decision, by=by)

    async def wish(self, kept: Kept, wish: Wish) -> bool:
        """False: no result waits there with its document."""
        return await self._execute("wish", kept, wish=wish) > 0

    async def answer(self, kept: Kept) -> tuple[str | None, str | None]:
        """What was decided, and why the last wish could not be carried out; both null: it waits."""
        rows = await self._fetch("standing", _of(kept))
        return (rows[0]["decision"], rows[0]["refusal"]) if rows else (None, None)

    async def wishes(self) -> list[tuple[Kept, Wish]]:
        rows = await self._fetch("wishes", {"most": WISHES_MAX})
        return [(Kept(row["job_id"], row["attempt"], row["worker"]), Wish(row["wish"])) for row in rows]

    async def refuse(self, kept: Kept, reason: str) -> None:
        """What was wished for cannot be done."""
        await self._execute("refuse", kept, reason=reason)

    async def prune(self) -> None:
        before = {"before": self._clock.wall_s() - KEPT_S}
        await self._store.write(lambda db: db.execute(SQL["prune"], before).rowcount)

    async def _execute(self, name: str, kept: Kept, **about: Any) -> int:
        values = _of(kept) | {"now": self._clock.wall_s(), **about}
        return await self._store.write(lambda db: db.execute(SQL[name], values).rowcount)

    async def _fetch(self, name: str, values: Mapping[str, Any]) -> Sequence[Row]:
        return await self._store.read(lambda db: db.execute(SQL[name], values).fetchall())


def _standing(row: Row | None) -> str:
    if row is None or (row["decision"] is None and not row["is_whole"]):
        return quarantine.WANTED
    return str(row["decision"] or quarantine.KEPT)


def _of(kept: Kept) -> dict[str, Any]:
    return {"job_id": kept.job_id, "attempt": kept.attempt, "worker": kept.worker}
