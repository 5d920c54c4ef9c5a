"""A store that has its superadmin, made once for a run: to hash a password takes as long as many a test."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from agent.clock import SystemClock
from bridge.store.connection import open_store
from bridge.tokens.model import Identity, NewPersonToken
from bridge.web.cluster import open_cluster
from tests.support.databases import plain

ADMIN: Final = Identity(email="admin@orvanta.local", username="admin", superadmin=True)
PASSWORD: Final = "correct horse battery staple"
BASE_URL: Final = "http://cluster.test"
STORE: Final = "bridge.db"
BEARER: Final = "bearer"


async def put_first_store(folder: Path) -> str:
    """Into this folder, unless it has one; a token of its superadmin, who has the password `PASSWORD`."""
    made = Path(_place().name)
    if not (made / STORE).exists():
        await _make(made)
    if not (folder / STORE).exists():
        shutil.copy(made / STORE, folder)
    return (made / BEARER).read_text()


@cache
def _place() -> tempfile.TemporaryDirectory[str]:
    """Of this process; it goes with it."""
    return tempfile.TemporaryDirectory(prefix="orvanta-store-")


async def _make(folder: Path) -> None:
    store = await open_store(folder / STORE)
    try:
        cluster = await open_cluster(store, SystemClock(), BASE_URL, PASSWORD)
        bearer = await cluster.tokens.create(ADMIN, NewPersonToken())
        await store.write(lambda db: db.execute(plain("DELETE FROM setting")))  # a secret is one bridge's own
    finally:
        await store.close()
    (folder / BEARER).write_text(bearer)
