"""What it takes that several bridges may share a store; nothing, where only one process may have it."""

import os
import socket
from pathlib import Path

from agent.clock import Clock
from bridge.metrics.timed import Timed
from bridge.store.bulletin import Bulletin
from bridge.store.fence import Fenced
from bridge.store.leading import Alone, Leadership, Part
from bridge.store.on_server import OnServer
from bridge.store.store import Store


def led(store: Store, where: Path | OnServer, clock: Clock) -> tuple[Store, Leadership]:
    """The store as its rooms are to have it, and who leads on it."""
    store = Timed(store)
    if isinstance(where, Path):
        return store, Alone()
    from bridge.store.lease import Lease  # noqa: PLC0415 psycopg, for a server only

    holder = f"{socket.gethostname()} {os.getpid()}"
    return Fenced(store), Lease(where.url, holder, clock)


def listening(where: OnServer, bulletin: Bulletin) -> Part:
    """Hears, for as long as it runs, what other bridges tell, and lets them hear what this one tells."""
    from bridge.store.listener import Listener  # noqa: PLC0415 psycopg, for a server only

    return Listener(where.url, bulletin).run
