"""TCP ports for servers of ours that come and go on the same port."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

# Below the kernel's ephemeral range (32768 and up). A client that keeps trying a port of that range while
# its server is down can be given this very port as its own, connect to itself, and keep the server out.
LOWEST: Final = 20_000
HIGHEST: Final = 32_000

_mine: Final[set[int]] = set()


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports that nobody listens on now.

    They are this process's for as long as it lives, also while no server of it is there: nobody else who asks
    here is given them.
    """
    draw = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = draw.randint(LOWEST, HIGHEST)
        if port not in _mine and _is_taken(port) and _is_free(port):
            found.append(port)
            _mine.add(port)
    return found


def _is_taken(port: int) -> bool:
    """Whether it is ours from now on: one byte of a file stands for it, locked until this process ends."""
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _locks() -> int:
    """Opened once: to close any descriptor of a file lets go of all its locks."""
    path = Path(tempfile.gettempdir(), f"orvanta-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
