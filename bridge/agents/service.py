"""The workers' pings, kept so that people see who is there."""

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Raw

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Claims
from bridge.agents.drained import Drained
from bridge.agents.model import HeldScript, Ping, ScriptMeta, Speaker, WorkerRow, WorkersFilter
from bridge.agents.presence import Presence
from bridge.errors import BadRequest
from bridge.jobs.model import rfc3339
from bridge.store.bulletin import Bulletin
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("agents.sql"))
SERVING_S: Final = 300.0  # agent-api.md 2.3
RECORD_EVERY_S: Final = 5.0

log = structlog.get_logger()


class Workers:
    def __init__(self, store: Store, clock: Clock, bulletin: Bulletin) -> None:
        self.drained: Final = Drained(store, bulletin)
        self._store = store
        self._clock = clock
        self._presence = Presence(store, clock)

    def ping(self, speaker: Speaker, ping: Ping) -> None:
        """Raises `BadRequest` when a first ping does not say who it is."""
        if ping.ping_type == "Initial" and None in (ping.worker_instance, ping.ip, ping.version):
            raise BadRequest("an Initial ping needs worker_instance, ip and version")
        self._presence.ping(speaker, ping)

    def heard(self, speaker: Speaker) -> None:
        """An agent that waits for a job is there, and says so with nothing else."""
        self._presence.heard(speaker)

    async def run(self) -> None:
        """For ever: record who was heard of, all of them at once."""
        while True:
            await asyncio.sleep(RECORD_EVERY_S)
            try:
                await self._presence.record()
            except WriteFailed as error:
                log.warning("presence.waits_for_the_disk", reason=str(error))

    async def heard_since(self, wanted: WorkersFilter) -> list[WorkerRow]:
        now_s = self._clock.wall_s()
        values = {"since": now_s - wanted.ping_since, **window(wanted)}

        def read(connection: Connection) -> list[WorkerRow]:
            rows = connection.execute(SQL["heard_since"], values)
            return [_as_row(dict(row), now_s) for row in rows]

        await self._presence.record()
        return await self._store.read(read)

    async def tags_served(self) -> set[str]:
        """The tags of all workers heard of lately."""
        since = {"since": self._clock.wall_s() - SERVING_S}

        def read(connection: Connection) -> set[str]:
            rows = connection.execute(SQL["tags_heard_since"], since)
            return {tag for row in rows for tag in msgspec.json.decode(row["tags"], type=list[str])}

        await self._presence.record()
        return await self._store.read(read)

    async def script_held(self, claims: Claims, script_hash: str) -> HeldScript:
        """The code of a job that this worker runs. Raises `NotFound`."""
        values = {"worker": claims.worker, "hash": script_hash}
        missing = f"{claims.worker} runs no job of script {script_hash}"
        row = await self._store.read(lambda db: found(db, SQL["script_held"], values, missing))
        schema = Raw((row["schema"] or "null").encode())
        return HeldScript(row["content"], row["lock"], ScriptMeta(language=row["language"], schema=schema))


def _as_row(row: dict[str, Any], now_s: float) -> WorkerRow:
    row["last_ping"] = max(0, int(now_s - row.pop("pinged_at")))
    row["started_at"] = rfc3339(row["started_at"])
    row["custom_tags"] = msgspec.json.decode(row.pop("tags"), type=list[str])
    row["wm_version"] = row.pop("version")
    row["native_mode"] = bool(row["native_mode"])
    return WorkerRow(**row)
