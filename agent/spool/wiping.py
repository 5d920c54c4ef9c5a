"""A device that was revoked keeps nothing of its jobs."""

import os
import shutil
from pathlib import Path
from typing import Final

from agent.errors import Revoked
from agent.spool.blobs import fsync_dir, write_durably
from agent.spool.credentials import BRIDGE_KEYS, DEVICE_KEY
from agent.spool.key_note import COPY as COPY_OF_KEYS
from agent.spool.key_note import NOTE as KEYS

NOTE: Final = (
    "revoked"  # the id of the token that was taken away; written first, so that a wipe goes on after a crash
)
KEPT: Final = frozenset(  # who it is, whom it trusts, and what opens both: sealed, where there is a key
    {NOTE, "lock", "identity", DEVICE_KEY, BRIDGE_KEYS, KEYS, COPY_OF_KEYS}
)


def wipe(folder: Path, token_id: str) -> None:
    """Jobs, results, log text and what links need go. Raises OSError; called again it goes on."""
    write_durably(folder / NOTE, f"{token_id}\n".encode())
    _remove(folder)


def require_not_revoked(folder: Path, token_id: str) -> None:
    """Before a spool is opened. With another token its folder is a new one. Raises `Revoked`, OSError."""
    note = folder / NOTE
    if not note.exists():
        return
    _remove(folder)
    if note.read_text().strip() == token_id:
        raise Revoked(
            f"the token of this agent was revoked, and its spool {folder} was wiped; "
            "to use the device again, mint a new token for it."
        )
    note.unlink()


def _open_up(folder: Path) -> None:
    """What jobs import is closed against them, and so against us."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir():
            _open_up(path)
            shutil.rmtree(path)
        else:
            path.unlink()
    fsync_dir(folder)
