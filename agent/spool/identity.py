"""Who this spool is: the suffix of its worker name, for as long as the folder lives."""

import re
import secrets
import socket
import string
from pathlib import Path
from typing import Final

from agent.spool.blobs import write_durably
from agent.wire.tokens import instance_of

SUFFIX: Final = re.compile("[^-]+-[A-Za-z0-9]{5}")


def identity_of(folder: Path) -> str:
    """Made once, in a file of its own: a destroyed database must not become another worker.

    The bridge asks a worker by its name for what it held (`check`). Raises OSError.
    """
    file = folder / "identity"
    known = file.read_text(errors="replace").strip() if file.exists() else ""
    if SUFFIX.fullmatch(known):
        return known
    host = instance_of(socket.gethostname()) or "host"
    alphabet = string.ascii_letters + string.digits
    made = f"{host}-{''.join(secrets.choice(alphabet) for _ in range(5))}"
    write_durably(file, f"{made}\n".encode())
    return made
