"""Opens the bridge's store, the one durable record of cluster and relay."""

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.database import TooNew
from agent.logs import Secret
from bridge.errors import ConfigError
from bridge.store.pg_schema import prepare
from bridge.store.postgres import PostgresStore
from bridge.store.sqlite import SqliteStore
from bridge.store.store import Store

MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnServer:
    """A database of PostgreSQL, which several bridges may share."""

    url: Secret
    pool: int  # connections at most
    key_path: Path  # of the key of the store's secrets, the same at each bridge
    name: str  # for people, and the same at every start


async def open_store(where: Path | OnServer) -> Store:
    """Open or create the store and bring it to the newest schema.

    Raises `ConfigError` when it is damaged, not reachable, not writable, or of a newer release.
    """
    return await (_open_file(where) if isinstance(where, Path) else _open_database(where))


async def _open_database(where: OnServer) -> Store:
    url = where.url.reveal()
    await asyncio.to_thread(prepare, url, where.name, scripts(MIGRATIONS / "postgresql"))
    return PostgresStore(where.url, where.key_path, where.pool, where.name, asyncio.get_running_loop())


async def _open_file(path: Path) -> Store:
    try:
        return await SqliteStore.open(path, scripts(MIGRATIONS))
    except TooNew as error:
        raise ConfigError(f"BRIDGE_STORE: {error}") from error
    except sqlite3.Error as error:
        raise ConfigError(
            f"BRIDGE_STORE: {path} cannot be used: {error}; give a path that can be written, "
            "or put back a good copy of the file."
        ) from error


def scripts(folder: Path) -> list[str]:
    return [script.read_text() for script in sorted(folder.glob("*.sql"))]
