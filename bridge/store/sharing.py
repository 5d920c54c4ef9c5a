"""What it takes that several bridges may share a store; nothing, where only one process may have it."""

import os
import socket

from agent.clock import Clock
from bridge.store.fence import Fenced
from bridge.store.leading import Alone, Leadership
from bridge.store.lease import Lease
from bridge.store.postgres import PostgresStore
from bridge.store.store import Store


def led(store: Store, clock: Clock) -> tuple[Store, Leadership]:
    """The store as its rooms are to have it, and who leads on it."""
    if not isinstance(store, PostgresStore):
        return store, Alone()
    holder = f"{socket.gethostname()} {os.getpid()}"
    return Fenced(store), Lease(store.url, holder, clock)
