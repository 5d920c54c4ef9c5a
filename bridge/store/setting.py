"""Settings that the store makes for itself once, and keeps: the secrets of a cluster."""

from pathlib import Path
from typing import Final

from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("setting.sql"))


async def set_once(store: Store, name: str, fresh: str) -> str:
    """What the setting is from now on: `fresh` where it was none. Processes that ask at once agree."""

    def read_or_make(connection: Connection) -> str:
        connection.execute(SQL["set_once"], {"name": name, "value": fresh})
        (value,) = connection.execute(SQL["setting"], {"name": name}).fetchone()
        return str(value)

    return await store.write(read_or_make)
