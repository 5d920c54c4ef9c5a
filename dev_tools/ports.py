"""TCP ports for servers of ours that come and go on the same port."""

import random
import socket
from typing import Final

# Below the kernel's ephemeral range (32768 and up). A client that keeps trying a port of that range while
# its server is down can be given this very port as its own, connect to itself, and keep the server out.
LOWEST: Final = 20_000
HIGHEST: Final = 32_000


def free_ports(count: int) -> list[int]:
    """`count` different loopback ports that nobody listens on now."""
    draw = random.SystemRandom()
    found: list[int] = []
    while len(found) < count:
        port = draw.randint(LOWEST, HIGHEST)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
