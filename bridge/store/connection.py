"""Opens the bridge's store, the one durable record of cluster and relay."""

from pathlib import Path
from typing import Final

from agent.database import Database

MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def open_store(path: Path) -> Database:
    """Open or create the store and bring it to the newest schema.

    Raises `sqlite3.Error` (damaged, not writable) and `agent.database.TooNew`.
    """
    scripts = [script.read_text() for script in sorted(MIGRATIONS.glob("*.sql"))]
    return await Database.open(path, scripts)
