"""The fleet, read for people: at most once a second, whoever and however many look."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.clock import Clock
from bridge.agents.drained import KIND
from bridge.errors import NotFound
from bridge.fleet import model
from bridge.fleet.model import NO_HISTORY, Agent, History, Kind, Outage, OwnScript
from bridge.store.bulletin import Bulletin, Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("fleet.sql"))
FRESH_S: Final = 0.8
HISTORY_FRESH_S: Final = 10.0
DAY_S: Final = 86_400.0
MOVES_EVERY_S: Final = 300.0  # so that a strip without news is the same for a while
NORMAL_SHOWN_S: Final = 300.0  # after its last word, as agent-api.md 2.3 shows workers
STEP_S: Final = 900.0  # of what the strips show: 96 in a day
MONTHS: Final = 12
OWN_SCRIPTS: Final = {
    "Init script": "init_script",
    "Periodic script": "periodic_bash_script",
}  # with their tags
NEEDED_TAGS: Final = ("flow", "dependency")

Record = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fleet:
    """One moment."""

    now_s: float
    agents: Sequence[Agent]
    titles: Mapping[str, str]  # of agent groups, where they have one
    history: History
    months: Sequence[tuple[str, int]]  # how many agent workers were there, the newest first

    def of(self, worker: str) -> Agent:
        """Raises `NotFound`."""
        found = next((agent for agent in self.agents if agent.worker == worker), None)
        if found is None:
            raise NotFound(f"no worker {worker!r} is known here")
        return found

    @property
    def missing_tags(self) -> list[str]:
        """Of those that a normal worker has to serve, the ones that none serves now."""
        served = {tag for one in self.agents if one.kind is Kind.NORMAL and one.is_there for tag in one.tags}
        return [need for need in NEEDED_TAGS if not any(_is_of(tag, need) for tag in served)]


class Fleets:
    def __init__(self, store: Store, bulletin: Bulletin, clock: Clock, record: Record) -> None:
        """`record`: writes down who was heard of, where this bridge is the one that hears."""
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._record = record
        self._reading = asyncio.Lock()
        self._seen: Fleet | None = None
        self._seen_s = 0.0  # monotonic
        self._history = NO_HISTORY
        self._months: Sequence[tuple[str, int]] = ()
        self._history_s: float | None = None

    async def now(self) -> Fleet:
        """Not older than `FRESH_S` seconds."""
        async with self._reading:
            now_s = self._clock.monotonic_s()
            if self._seen is None or now_s - self._seen_s > FRESH_S:
                self._seen, self._seen_s = await self._read(now_s), now_s
            return self._seen

    async def own_scripts(self, worker: str) -> list[OwnScript]:
        """Of those that it has told of: how its init script and its periodic script went last."""

        def read(db: Connection) -> list[OwnScript]:
            found = []
            for name, tag in OWN_SCRIPTS.items():
                for row in db.execute(SQL["own_script"], {"worker": worker, "tag": tag}):
                    script = OwnScript(name, row["id"], row["created_at"], row["status"], row["duration_ms"])
                    found.append(script)
            return found

        return await self._store.read(read)

    async def name_group(self, group: str, title: str) -> None:
        """What people call it; empty: as in its tokens."""
        statement = SQL["set_title" if title else "drop_title"]
        values = {"worker_group": group, "title": title}
        await self._store.write(lambda db: db.execute(statement, values))
        self._seen = None

    async def drain(self, worker: str, by: str | None) -> None:
        """It is to take nothing new from now on; None: it may again. Raises `NotFound`."""
        values = {"worker": worker, "by": by}

        def write(db: Connection, tell: Tell) -> int:
            tell(Note(KIND, worker))
            return db.execute(SQL["drain"], values).rowcount

        if not await self._bulletin.write(write):
            raise NotFound(f"no agent {worker!r} has enrolled")
        self._seen = None

    async def _read(self, now_s: float) -> Fleet:
        await self._record()
        wall_s = self._clock.wall_s()
        if self._history_s is None or now_s - self._history_s > HISTORY_FRESH_S:
            self._history, self._months = await self._read_history(wall_s)
            self._history_s = now_s
        rows = await self._store.read(lambda db: _rows(db, wall_s))
        return Fleet(wall_s, _agents(rows, wall_s, self._history), rows.titles, self._history, self._months)

    async def _read_history(self, wall_s: float) -> tuple[History, list[tuple[str, int]]]:
        until = math.ceil(wall_s / MOVES_EVERY_S) * MOVES_EVERY_S
        since = until - DAY_S
        values = {"since": since, "step_s": STEP_S}

        def read(db: Connection) -> tuple[History, list[tuple[str, int]]]:
            outages: dict[str, list[Outage]] = {}
            for row in db.execute(SQL["outages"], values):
                one = Outage(row["down_at"], row["up_at"], bool(row["on_purpose"]))
                outages.setdefault(row["worker"], []).append(one)
            done: dict[str, dict[int, int]] = {}
            for row in db.execute(SQL["done_while_down"], values):
                done.setdefault(row["worker"], {})[row["place"]] = row["jobs"]
            months = [(row["month"], row["workers"]) for row in db.execute(SQL["months"], {"most": MONTHS})]
            return History(since, until, STEP_S, outages, done), months

        return await self._store.read(read)


@dataclass(frozen=True, slots=True)
class _Rows:
    enrolled: Sequence[Mapping[str, Any]]
    pinging: Sequence[Mapping[str, Any]]
    running: Mapping[str, int]
    titles: Mapping[str, str]


def _rows(db: Connection, wall_s: float) -> _Rows:
    since = {"since": wall_s - DAY_S, "normal_since": wall_s - NORMAL_SHOWN_S}
    return _Rows(
        [dict(row) for row in db.execute(SQL["enrolled"])],
        [dict(row) for row in db.execute(SQL["pinging"], since)],
        {row["worker"]: row["jobs"] for row in db.execute(SQL["running_over_http"])},
        {row["worker_group"]: row["title"] for row in db.execute(SQL["titles"])},
    )


def _agents(rows: _Rows, wall_s: float, history: History) -> list[Agent]:
    """By group and name."""
    pings = {row["worker"]: row for row in rows.pinging}
    agents = []
    for row in rows.enrolled:
        agent = model.enrolled(row, _tags(row["tags"]), wall_s, history)
        if (ping := pings.pop(agent.worker, None)) is not None and ping["pinged_at"] >= agent.last_heard:
            running = rows.running.get(agent.worker, 0)
            agent = model.over_http(agent, ping["pinged_at"], running, wall_s)
        agents.append(agent)
    for worker, row in pings.items():
        running = rows.running.get(worker, 0)
        agents.append(model.pinging(row, _tags(row["tags"]), running, wall_s, history))
    return sorted(agents, key=lambda agent: (agent.group, agent.worker))


@lru_cache(4096)
def _tags(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text, type=list[str]))


def _is_of(tag: str, needed: str) -> bool:
    """`flow`, or a workspace's own: `flow-shops`."""
    return tag == needed or tag.startswith(f"{needed}-")
