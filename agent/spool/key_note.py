"""Which key seals a spool: a note beside its database, so that a wrong key touches nothing."""

from pathlib import Path
from typing import Final

from agent.errors import SpoolUnusable
from agent.spool.blobs import write_durably
from agent.spool.folder import unusable
from agent.spool.sealing import Seal

NOTE: Final = "key-id"


def note_of(folder: Path) -> str:
    """The id of the key that seals this spool; empty when none does. Raises OSError."""
    note = folder / NOTE
    return note.read_text(errors="replace").strip() if note.exists() else ""


def require_key(folder: Path, seal: Seal) -> None:
    """Before anything of the spool is opened. Raises `SpoolUnusable` for a wrong key or a missing one."""
    with unusable(folder):
        known = note_of(folder)
    if known and known != seal.key_id:
        given = f"SPOOL_KEY_FILE holds {seal.key_id}" if seal.key_id else "no key was given"
        raise SpoolUnusable(
            f"the spool {folder} is sealed with the key {known}, and {given}; "
            "set SPOOL_KEY_FILE to the file of that key. Nothing was changed."
        )


def adopt_key(folder: Path, seal: Seal) -> None:
    """As `require_key`; the first time there is a key its id is durable before anything is sealed with it."""
    require_key(folder, seal)
    with unusable(folder):
        if seal.key_id and not note_of(folder):
            write_durably(folder / NOTE, f"{seal.key_id}\n".encode())
