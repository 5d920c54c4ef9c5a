"""Opens the bridge's store, the one durable record of cluster and relay."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Final

from agent.database import TooNew
from bridge.errors import ConfigError
from bridge.store.on_server import OnServer
from bridge.store.sqlite import SqliteStore
from bridge.store.store import Store

MIGRATIONS: Final = Path(__file__).parent / "migrations"  # each has its twin in postgresql/


async def open_store(where: Path | OnServer) -> Store:
    """Open or create the store and bring it to the newest schema.

    Raises `ConfigError` when it is damaged, not reachable, not writable, or of a newer release.
    """
    return await (_open_file(where) if isinstance(where, Path) else _open_database(where))


async def _open_database(where: OnServer) -> Store:
    from bridge.store.pg_schema import prepare  # noqa: PLC0415 psycopg: most bridges have a file and load none
    from bridge.store.postgres import PostgresStore  # noqa: PLC0415 see above

    url = where.url.reveal()
    await asyncio.to_thread(prepare, url, where.name, scripts(MIGRATIONS / "postgresql"))
    return PostgresStore(where, asyncio.get_running_loop())


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
