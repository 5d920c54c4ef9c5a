"""A disk that loses what was not synced, gets full, and outlives every process. The SQL on it is real."""

import errno
import hashlib
import sqlite3
from collections import deque
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.database import Database, Work, WriteFailed, _apply
from agent.grouped import Write, answer
from agent.spool.folder import FLOOR_BYTES
from agent.wire.envelope import BLOB_PART_BYTES
from tests.simulation.process import Killed, Process

GROUP_MAX: Final = 256
FSYNC_S: Final = (0.0002, 0.02)
LIE_S: Final = 0.5
ROOMY: Final = FLOOR_BYTES * 1000


class Disk:
    def __init__(self, migrations: Sequence[str], draw: Random) -> None:
        self.draw = draw
        self.is_full = False
        self.lies = False  # sabotage: it says "synced" before it is
        self.blobs: dict[str, bytes] = {}
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        _migrated(tuple(migrations)).backup(self.connection)

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """What is durable, seen from outside."""
        return self.connection.execute(sql, values).fetchall()


@cache
def _migrated(migrations: tuple[str, ...]) -> sqlite3.Connection:
    """A new database, to be copied: the migrations cost more than the copies of a hundred histories."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for script in migrations:
        connection.executescript(script)
    return connection


class SimDatabase(Database):
    """The writer of one process on a disk: group commit after an fsync's time."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process
        self._waiting: deque[Write] = deque()
        self._in_flight: list[Write] = []
        process.at_death.append(self._crash)

    async def write(self, work: Work[Any]) -> Any:
        self._process.step()
        item = Write(work, self._process.loop.create_future())
        self._waiting.append(item)
        if not self._in_flight:
            self._begin()
        written = await item.future
        self._process.step()
        return written

    async def read(self, work: Work[Any]) -> Any:
        self._process.step()
        return work(self._disk.connection)

    async def close(self) -> None:
        """Nothing is open."""

    def _begin(self) -> None:
        self._in_flight = [self._waiting.popleft() for _ in range(min(GROUP_MAX, len(self._waiting)))]
        if self._disk.lies:
            self._lie()
        else:
            self._process.loop.call_later(self._disk.draw.uniform(*FSYNC_S), self._synced)

    def _lie(self) -> None:
        group, self._in_flight = self._in_flight, []
        self._process.loop.call_later(LIE_S, lambda: self._process.alive and self._commit_group(group))
        for item in group:
            item.result = True
        answer(group)

    def _synced(self) -> None:
        if not self._process.alive:
            return
        group, self._in_flight = self._in_flight, []
        self._commit_group(group)
        answer(group)
        if self._waiting:
            self._begin()

    def _commit_group(self, group: list[Write]) -> None:
        if self._disk.is_full:
            for item in group:
                item.error = WriteFailed("the simulated disk is full")
            return
        self._disk.connection.execute("BEGIN")
        for item in group:
            _apply(self._disk.connection, item)
        self._disk.connection.execute("COMMIT")

    def _crash(self) -> None:
        """A group under way is on disk whole or not at all; what waited is gone."""
        if self._in_flight and self._disk.draw.random() < 0.5:
            self._commit_group(self._in_flight)
        for item in (*self._in_flight, *self._waiting):
            if not item.future.done():
                item.future.set_exception(Killed())
                item.future.exception()  # those that waited are mostly dead themselves


class SimBlobs:
    """The files beside the database."""

    used_bytes = 0

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process

    def put(self, owner: str, document: bytes) -> str:
        self._process.step()
        if self._disk.is_full:
            raise OSError(errno.ENOSPC, "the simulated disk is full")
        self._disk.blobs[owner] = document
        return hashlib.sha256(document).hexdigest()

    def is_whole(self, owner: str, sha256: str) -> bool:
        return hashlib.sha256(self._disk.blobs.get(owner, b"")).hexdigest() == sha256

    def part(self, owner: str, index: int) -> bytes:
        start = index * BLOB_PART_BYTES
        return self._disk.blobs.get(owner, b"")[start : start + BLOB_PART_BYTES]

    def drop(self, owner: str) -> None:
        self._process.step()
        self._disk.blobs.pop(owner, None)

    def names(self) -> set[str]:
        return set(self._disk.blobs)

    def names_of(self, owners: Collection[str]) -> set[str]:
        return set(owners)

    def sweep(self, names: Collection[str], wanted: Collection[str]) -> int:
        self._process.step()
        for name in set(names).difference(wanted):
            del self._disk.blobs[name]
        return 0


class SimFolder:
    def __init__(self, disk: Disk, identity: str) -> None:
        self._disk = disk
        self.identity = identity
        self.path = Path("/simulated")

    def note_room(self, text: str) -> None:
        """Nobody asks for the status."""

    def free_bytes(self) -> int:
        return 0 if self._disk.is_full else ROOMY

    def release(self) -> None:
        """No lock is held."""
