"""What names a database on a server. It knows no driver: whoever has the store in a file loads none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.logs import Secret

BESIDE_THE_POOL: Final = 3  # connections: the writer's, the one that listens, and the lease's
POOL_MIN: Final = BESIDE_THE_POOL + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OnServer:
    """A database of PostgreSQL, which several bridges may share."""

    url: Secret
    pool: int  # connections at most
    key_path: Path  # of the key of the store's secrets, the same at each bridge
    name: str  # for people, and the same at every start
    outcome_s: float = 10.0  # for how long a commit's outcome is asked for while the server is away
