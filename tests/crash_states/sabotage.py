"""Ways to break the promise on purpose, in the recorded process only: the judge has to find each."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import agent.database
import agent.spool.blobs
import agent.spool.recovery
from agent.spool.rows import Key
from agent.spool.spool import Spool
from agent.wire.messages import Result

CHECKPOINT_PAGES: Final = 24  # so that the WAL goes back into the database again and again


def open_connections_with(*pragmas: str) -> None:
    connect = agent.database._connect

    def connected(path: Path, mode: str = "rwc") -> sqlite3.Connection:
        connection = connect(path, mode)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    agent.database._connect = connected


def database_unsynced() -> None:
    """Commits are confirmed before they are on disk."""
    open_connections_with("synchronous = OFF")


def commits_unsynced() -> None:
    """SQLite's default for a WAL: no fsync at a commit, only at a checkpoint."""
    open_connections_with("synchronous = NORMAL")


def documents_unsynced() -> None:
    """Python's files and folders are never synced; SQLite's are."""
    os.fsync = lambda _descriptor: None


def folders_unsynced() -> None:
    """A document's bytes are synced, its name is not."""
    agent.spool.blobs.fsync_dir = lambda _path: None


def row_before_document() -> None:
    """The row names a document that is written after it."""
    finish = Spool.finish

    async def finish_early(spool: Spool, key: Key, state: str, result: Result) -> None:
        put, kept = spool.blobs.put, []

        def put_later(owner: str, data: bytes) -> str:
            kept.append((owner, data))
            return agent.spool.blobs.hashlib.sha256(data).hexdigest()

        spool.blobs.put = put_later
        await finish(spool, key, state, result)
        spool.blobs.put = put
        for owner, data in kept:
            put(owner, data)

    Spool.finish = finish_early


def state_before_result() -> None:
    """State and result in two commits."""
    finish = Spool.finish

    async def finish_twice(spool: Spool, key: Key, state: str, result: Result) -> None:
        await spool.move(key, state, 0)
        await finish(spool, key, state, result)

    Spool.finish = finish_twice


def set_aside_unmarked() -> None:
    """A start that is cut off before it has carried the rows over leaves nothing that says so."""
    agent.spool.recovery.UNFINISHED = "spool.damaged-now"


SABOTAGES: Final[Mapping[str, Callable[[], None]]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        database_unsynced,
        commits_unsynced,
        documents_unsynced,
        folders_unsynced,
        row_before_document,
        state_before_result,
        set_aside_unmarked,
    )
}
