"""Rows of the ledger whose language not all agents of their tag run: held back, or sent to one agent."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.clock import Clock
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from bridge.store.statements import queries
from bridge.store.store import Row, Store

SQL: Final = queries(Path(__file__).with_name("held_back.sql"))
THERE_S: Final = 60.0  # an agent that was heard of since then is there


@dataclass(frozen=True, slots=True)
class Held:
    """A job that waits for an agent that runs its language."""

    key: tuple[JobId, Attempt]
    tag: Tag
    language: str
    body: bytes
    sent_before: WorkerName | None = None


class HeldBack:
    """Every write returns after its fsync."""

    def __init__(self, store: Store, clock: Clock, room: asyncio.Event) -> None:
        """`room`: set when there may be something to send."""
        self._store = store
        self._clock = clock
        self._room = room

    async def hold(
        self, key: tuple[JobId, Attempt], language: str, refused_by: WorkerName | None = None
    ) -> None:
        """It waits for an agent that runs this. An agent that refuses it says nothing of another's."""
        await self._execute("hold_back", _of(key) | {"language": language, "by": refused_by or ""})
        self._room.set()

    async def oldest(self, tag: Tag, language: str, most: int) -> list[Held]:
        """What waits for an agent of this tag that runs this."""
        rows = await self._fetch("held_back", {"tag": tag, "language": language, "most": most})
        return [
            Held((row["job_id"], row["attempt"]), tag, language, row["body"], row["directed_to"])
            for row in rows
        ]

    async def counts(self) -> dict[tuple[Tag, str], int]:
        """How many they are, by tag and language."""
        rows = await self._fetch("held_back_of", {})
        return {(row["tag"], row["waits_for"]): row["jobs"] for row in rows}

    async def who_runs(self, tag: Tag, language: str, window: int) -> list[WorkerName]:
        """Agents that are there, and have been sent fewer than `window` alone that are not over.

        The one with the fewest comes first.
        """
        values = {"tag": tag, "language": language, "window": window, "there": self._clock.wall_s() - THERE_S}
        return [row["worker"] for row in await self._fetch("who_runs", values)]

    async def directed(self, key: tuple[JobId, Attempt], worker: WorkerName) -> None:
        """The broker holds it, for this agent alone."""
        await self._execute("directed", _of(key) | {"worker": worker})

    async def direct_again(self, worker: WorkerName, before: float) -> None:
        """Its queue may have lost what was sent to it alone before then and it has not accepted (I1)."""
        await self._execute("direct_again", {"worker": worker, "before": before})
        self._room.set()

    async def _execute(self, name: str, values: Mapping[str, Any]) -> None:
        with_now = {"now": self._clock.wall_s(), **values}
        await self._store.write(lambda db: db.execute(SQL[name], with_now).rowcount)

    async def _fetch(self, name: str, values: Mapping[str, Any]) -> Sequence[Row]:
        return await self._store.read(lambda db: db.execute(SQL[name], values).fetchall())


def _of(key: tuple[JobId, Attempt]) -> dict[str, Any]:
    return {"job_id": key[0], "attempt": key[1]}
