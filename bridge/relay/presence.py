"""Which agents were heard of since the last record: the pings of thousands become one statement.

What is noted and not recorded yet dies with this process, and costs nothing: whoever is there pings again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agent.clock import Clock
from agent.wire.claims import WorkerName
from agent.wire.messages import Hello, Ping
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("presence.sql"))
OFTEN_S: Final = 10.0  # as often an agent speaks by itself


class Presence:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._heard: dict[WorkerName, Mapping[str, Any]] = {}  # what the newest message of each said

    def note(self, worker: WorkerName, said: Hello | Ping) -> None:
        """It is there."""
        heard = {
            "now": self._clock.wall_s(),
            "held": said.held,
            "backlog": said.backlog,
            "clock_offset_ms": said.clock_offset_ms,
        }
        if isinstance(said, Ping):
            heard |= {
                "running": said.running,
                "next_s": said.next_s,
                "backlog_age_s": said.backlog_age_s,
                "spool_bytes": said.spool_bytes,
                "spool_most_bytes": said.spool_most_bytes,
                "drained": int(said.drained),
            }
        self._heard[worker] = heard

    @property
    def is_looked_at(self) -> bool:
        """Whether somebody has asked agents to speak more often than they do by themselves."""
        return any((said.get("next_s") or OFTEN_S) < OFTEN_S for said in self._heard.values())

    def forget(self, worker: WorkerName) -> None:
        """What is written of it now is newer."""
        self._heard.pop(worker, None)

    async def record(self) -> None:
        """All of it, in one statement. Raises `WriteFailed`; then it is tried again the next time."""
        if not self._heard:
            return
        heard, self._heard = self._heard, {}
        rows = {"rows": json.dumps(heard)}

        def write(connection: Connection) -> None:
            connection.execute(SQL["heard"], rows)

        try:
            await self._store.write(write)
        except BaseException:
            self._heard = heard | self._heard
            raise
