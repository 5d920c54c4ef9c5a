"""Opens the bridge's store, the one durable record of cluster and relay."""

import sqlite3
from pathlib import Path
from typing import Final

from agent.database import TooNew
from bridge.errors import ConfigError
from bridge.store.sqlite import SqliteStore

MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def open_store(path: Path) -> SqliteStore:
    """Open or create the store and bring it to the newest schema.

    Raises `ConfigError` when it is damaged, not writable, or of a newer release.
    """
    scripts = [script.read_text() for script in sorted(MIGRATIONS.glob("*.sql"))]
    try:
        opened = await SqliteStore.open(path, scripts)
    except TooNew as error:
        raise ConfigError(f"BRIDGE_STORE: {error}") from error
    except sqlite3.Error as error:
        raise ConfigError(
            f"BRIDGE_STORE: {path} cannot be used: {error}; give a path that can be written, "
            "or put back a good copy of the file."
        ) from error
    return opened
