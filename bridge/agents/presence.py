"""Who was heard of since the last record: thousands of agents that say "I am here" become one statement.

What is noted and not recorded yet dies with this process, and costs nothing: whoever is there says so again.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from agent.clock import Clock
from bridge.agents.model import Ping, Speaker
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("presence.sql"))
KEPT_S: Final = 30 * 24 * 3600.0


class Presence:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._pings: dict[str, dict[str, Any]] = {}  # by worker: what its pings said, the newest of each
        self._heard: dict[str, float] = {}  # by worker: when, in wall seconds
        self._starts = False  # somebody began: a moment to forget who is gone

    def ping(self, speaker: Speaker, ping: Ping) -> None:
        """What a worker says of itself; null in it means: as before."""
        now_s = self._clock.wall_s()
        said = {
            name: _storable(told) for name, told in msgspec.structs.asdict(ping).items() if told is not None
        }
        self._heard.pop(speaker.worker, None)
        self._pings[speaker.worker] = {
            "started_at": now_s,
            **self._pings.get(speaker.worker, {}),
            **said,
            "worker_group": speaker.worker_group,
            "tags": msgspec.json.encode(sorted(speaker.tags)).decode(),  # what the token says, not the ping
            "now": now_s,
        }
        self._starts = self._starts or ping.ping_type == "Initial"

    def heard(self, speaker: Speaker) -> None:
        """It is there, and says so with nothing else."""
        self._heard[speaker.worker] = self._clock.wall_s()

    async def record(self) -> None:
        """All of it, in one transaction. Raises `WriteFailed`; then it is tried again the next time."""
        if not self._pings and not self._heard:
            return
        pings, heard, starts = self._pings, self._heard, self._starts
        self._pings, self._heard, self._starts = {}, {}, False
        before = {"before": self._clock.wall_s() - KEPT_S}

        def write(connection: Connection) -> None:
            if starts:
                connection.execute(SQL["forget"], before)
            if pings:
                rows = {"rows": _json(pings)}
                connection.execute(SQL["add_unknown"], rows)
                connection.execute(SQL["ping"], rows)
            if heard:
                connection.execute(SQL["heard"], {"heard": _json(heard)})

        try:
            await self._store.write(write)
        except BaseException:
            for worker, row in self._pings.items():  # what came meanwhile is newer
                pings[worker] = {**pings.get(worker, {}), **row}
            self._pings, self._heard = pings, heard | self._heard
            self._starts = self._starts or starts
            raise


def _json(values: dict[str, Any]) -> str:
    return msgspec.json.encode(values).decode()


def _storable(told: object) -> object:
    """As both dialects read it out of JSON. PostgreSQL takes no NUL in a text, and nobody's name has one."""
    if isinstance(told, bool):
        return int(told)
    return told.replace("\0", "") if isinstance(told, str) else told
