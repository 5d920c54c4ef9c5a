"""What programs ask of a disk: the words that the trace is written in and that the model understands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Inode = int
ROOT: Inode = 0  # the folder that was there before and stays


@dataclass(frozen=True, slots=True)
class Write:
    inode: Inode
    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """The file ends at `size` now: shorter, or longer by zeros."""

    inode: Inode
    size: int


@dataclass(frozen=True, slots=True)
class Names:
    """One step of a folder's names: a file or folder made, renamed or removed (None)."""

    folder: Inode
    changes: Mapping[str, Inode | None]
    new_folder: Inode | None = None
    taken_from: tuple[Inode, str] | None = (
        None  # the name that it had in another folder goes in the same step
    )


@dataclass(frozen=True, slots=True)
class Sync:
    """Of this file or folder everything is durable that had been done before step number `before`."""

    inode: Inode
    before: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Said by the recorded program: it begins the call with this number, or the call has come back."""

    call: int
    is_done: bool
    note: str = ""


Step: TypeAlias = Write | Cut | Names | Sync | Mark
Unsynced: TypeAlias = Write | Cut | Names
