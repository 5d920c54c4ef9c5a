"""A spool's own keys, in a note beside its database: wrapped by the operator's key, which lies elsewhere.

So the operator's key is changed by writing one small file, and a wrong one touches nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

from agent.errors import SpoolUnusable
from agent.spool.blobs import write_durably
from agent.spool.credentials import DEVICE_KEY, PRIVATE
from agent.spool.refusal import unusable
from agent.spool.sealing import KEY_BYTES, Seal, is_sealed

NOTE: Final = "key-id"
COPY: Final = "key-id.copy"  # what one bad sector costs must not be all that the others hold
WRAPPED: Final = "key of the spool"


@dataclass(frozen=True, slots=True)
class Note:
    """`by`: the id of the operator's key. `wrapped`: the newest first, which seals.

    There is none in the note of an older release: there the operator's key sealed everything itself.
    """

    by: str
    wrapped: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Note | None":
        """None: it is damaged."""
        by, *rest = text.split() or [""]
        if not rest:
            return cls(by) if by else None
        try:
            note = cls(by, tuple(map(bytes.fromhex, rest[:-1])))
        except ValueError:
            return None
        return note if note.text().split() == text.split() else None

    def text(self) -> str:
        """One line: an older release refuses it in one, too."""
        words = " ".join([self.by, *(key.hex() for key in self.wrapped)])
        return f"{words} {crc32(words.encode()):08x}\n"


def note_of(folder: Path) -> Note | None:
    """None: nothing here has been sealed. Raises OSError, and `SpoolUnusable` when it cannot be read."""
    texts = [text for name in (NOTE, COPY) if (text := _text(folder / name)) is not None]
    notes = [note for text in texts if (note := Note.read(text))]
    if not notes and (texts or _is_sealed(folder / DEVICE_KEY)):
        raise _keys_lost(folder)
    return next((note for note in notes if note.wrapped), notes[0] if notes else None)


def opened(folder: Path, operator: Seal) -> Seal:
    """The seal of what is kept there, as it is; nothing is written. `operator`: by the operator's key.

    Raises `SpoolUnusable` for a wrong key or a missing one.
    """
    with unusable(folder):
        note = note_of(folder)
    if note is None:
        return operator
    if note.by != operator.key_id:
        given = f"SPOOL_KEY_FILE holds {operator.key_id}" if operator.key_id else "no key was given"
        raise SpoolUnusable(
            f"the spool {folder} is sealed with the key {note.by}, and {given}; "
            "set SPOOL_KEY_FILE to the file of that key. Nothing was changed."
        )
    if not note.wrapped:
        return operator
    keys = [key for wrapped in note.wrapped if (key := operator.open(wrapped, WRAPPED))]
    if len(keys) < len(note.wrapped):
        raise _keys_lost(folder)
    return Seal(*keys)


def adopted(folder: Path, operator: Seal) -> Seal:
    """As `opened`, of a spool that this process has locked, with a key of its own that seals from now on.

    What lies there is read as before. Both notes are durable before anything is sealed by what they hold.
    """
    seal = opened(folder, operator)
    if not operator.key_id:
        return seal
    with unusable(folder):
        note = note_of(folder)
        if note is None:
            return keep(folder, operator)
        if not note.wrapped:
            return keep(folder, operator, *operator.keys)
        _write(folder, note)
    return seal


def keep(folder: Path, operator: Seal, *older: bytes, newest: bytes | None = None) -> Seal:
    """The spool's keys from now on, by the operator's key: in one step, at the first of two writes.

    `newest` seals; None makes one. Raises OSError.
    """
    keys = (newest or os.urandom(KEY_BYTES), *older)
    _write(folder, Note(operator.key_id, tuple(operator.close(key, WRAPPED) for key in keys)))
    return Seal(*keys)


def _write(folder: Path, note: Note) -> None:
    for name in (NOTE, COPY):
        if _text(folder / name) != note.text():
            write_durably(folder / name, note.text().encode(), PRIVATE)


def _keys_lost(folder: Path) -> SpoolUnusable:
    return SpoolUnusable(
        f"the spool {folder} is sealed, and its keys ({NOTE} and {COPY} in it) are gone or damaged; "
        "put one of them back from a copy, or begin with another folder. Nothing was changed."
    )


def _text(file: Path) -> str | None:
    return file.read_text(errors="replace") if file.exists() else None


def _is_sealed(file: Path) -> bool:
    return file.exists() and is_sealed(file.read_bytes())
