"""What a normal worker is told by its operator."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.errors import BadRequest, ConfigError
from bridge.jobs.lanes import DEPENDENCY, FLOW
from bridge.tokens.tags import checked_tag

USUAL: Final = f"{FLOW},{DEPENDENCY}"
SLOTS: Final = 2
SLOTS_MOST: Final = 1000
GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    tags: tuple[str, ...]
    slots: int  # jobs at once; a flow's turn takes none
    group: str
    folder: Path | None  # of its scripts' directories; None: beside the store's key


def alone(env: Mapping[str, str], tags: str | None, slots: int | None) -> WorkerSettings:
    """As `read`, for a worker in a process of its own."""
    if not env.get("DATABASE_URL"):
        raise ConfigError(
            "a worker of its own needs PostgreSQL: set DATABASE_URL to the database of your bridges. A store "
            f"in a file ({env.get('BRIDGE_STORE', 'bridge.db')}) is one process's; there `python -m bridge "
            "serve` has a worker inside, and --worker-tags says what it serves."
        )
    return read(env, tags, slots)


def read(env: Mapping[str, str], tags: str | None, slots: int | None = None) -> WorkerSettings:
    """`tags` with commas between them. Raises `ConfigError`."""
    slots = SLOTS if slots is None else slots
    named = tuple(one.strip() for one in (USUAL if tags is None else tags).split(",") if one.strip())
    if not named:
        raise ConfigError(f"--tags is empty; name the tags that the worker serves, such as {USUAL}")
    try:
        for tag in named:
            checked_tag(tag)
    except BadRequest as error:
        raise ConfigError(f"--tags: {error}") from error
    if not 1 <= slots <= SLOTS_MOST:
        raise ConfigError(f"--slots must be from 1 to {SLOTS_MOST}, not {slots}")
    group = env.get("WORKER_GROUP") or "default"
    if not GROUP.fullmatch(group):
        raise ConfigError(f"WORKER_GROUP must be 1 to 80 of the characters A-Z a-z 0-9 . _ -, not {group!r}")
    folder = env.get("WORKER_DIR")
    return WorkerSettings(tags=named, slots=slots, group=group, folder=Path(folder) if folder else None)
