"""A disk that keeps what was synced, and of the rest whatever it likes.

What it may do at a power cut: keep or drop each unsynced write, in any order; keep one half of a write, in
whole sectors; lengthen a file and leave zeros; keep or drop each name made, renamed or removed since the
folder's last fsync. What it may not: touch bytes beside a write, tear a sector, undo a completed fsync.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tests.crash_states.operations import ROOT, Cut, Inode, Mark, Names, Step, Sync, Unsynced, Write

SECTOR: Final = 512

T = TypeVar("T", bound=Unsynced)
Choice = tuple[str, tuple[T, ...]]  # what happened, in words, and the steps that reached the disk


@dataclass(frozen=True, slots=True)
class Contents:
    """A file's bytes; the digest tells equal ones without comparing them."""

    data: bytes
    digest: bytes


Files = Mapping[str, Contents | None]  # path → bytes; None is a folder


@dataclass(frozen=True, slots=True)
class CrashState:
    """What a power cut may leave, and how it came about."""

    how: str
    files: Files

    @property
    def fingerprint(self) -> frozenset[tuple[str, bytes]]:
        return frozenset((path, file.digest if file else b"") for path, file in self.files.items())


@dataclass(slots=True)
class _Inode:
    durable: bytes = b""
    version: int = 0  # counts what became durable
    known: dict[tuple[object, ...], Contents] = field(default_factory=dict)  # for this version


class Disk:
    def __init__(self) -> None:
        self._inodes: dict[Inode, _Inode] = {}
        self._folders: dict[Inode, dict[str, Inode]] = {ROOT: {}}
        self._writes: list[tuple[int, Write | Cut]] = []
        self._names: list[tuple[int, Names]] = []

    def take(self, number: int, step: Step) -> None:
        """The next step of the program, the `number`th of all."""
        match step:
            case Write() | Cut():
                self._writes.append((number, step))
            case Names():
                if step.new_folder is not None:
                    self._folders[step.new_folder] = {}
                self._names.append((number, step))
            case Sync():
                self._sync(step)
            case Mark():
                pass

    def states(self) -> Iterator[CrashState]:
        """Every state that the model knows for a power cut in this moment. Some are equal to each other."""
        writes = tuple(write for _, write in self._writes)
        names = tuple(change for _, change in self._names)
        for how, kept in self._write_choices(writes):
            yield self._state(f"writes: {how}; names: all kept", kept, names)
        for how, kept_names in _subsets(names):
            yield self._state(f"writes: all kept; names: {how}", writes, kept_names)
            yield self._state(f"writes: none kept; names: {how}", (), kept_names)

    def _sync(self, step: Sync) -> None:
        if step.inode in self._folders:
            done = [change for number, change in self._names if self._covers(step, number, change.folder)]
            for change in done:
                _apply_names(self._folders, change)
            self._names = [
                (number, change)
                for number, change in self._names
                if not self._covers(step, number, change.folder)
            ]
        else:
            done_writes = [write for number, write in self._writes if self._covers(step, number, write.inode)]
            inode = self._inode(step.inode)
            inode.durable = _written(inode.durable, done_writes)
            inode.version += 1
            inode.known.clear()
            self._writes = [
                (number, write)
                for number, write in self._writes
                if not self._covers(step, number, write.inode)
            ]
        self._let_go_of_unreachable()

    @staticmethod
    def _covers(step: Sync, number: int, inode: Inode) -> bool:
        return inode == step.inode and number < step.before

    def _let_go_of_unreachable(self) -> None:
        """A file that no name can lead to any more needs no states."""
        reachable = {inode for folder in self._folders.values() for inode in folder.values()}
        for _, change in self._names:
            reachable.update(inode for inode in change.changes.values() if inode is not None)
        self._writes = [(number, write) for number, write in self._writes if write.inode in reachable]

    def _write_choices(self, writes: tuple[Write | Cut, ...]) -> Iterator[Choice[Write | Cut]]:
        yield from _subsets(writes)
        for index, write in enumerate(writes):
            for how, torn in self._torn(write, writes[:index]):
                yield (
                    f"{how} of {_shown(write, index)}, all others kept",
                    (
                        *writes[:index],
                        *torn,
                        *writes[index + 1 :],
                    ),
                )
                yield f"{how} of {_shown(write, index)}, none after it kept", (*writes[:index], *torn)

    def _torn(
        self, write: Write | Cut, before: tuple[Write | Cut, ...]
    ) -> Iterator[tuple[str, tuple[Write, ...]]]:
        if isinstance(write, Cut):
            return
        middle = (write.offset + len(write.content) // 2) // SECTOR * SECTOR - write.offset
        if 0 < middle < len(write.content):
            yield "the first half", (Write(write.inode, write.offset, write.content[:middle]),)
            yield "the second half", (Write(write.inode, write.offset + middle, write.content[middle:]),)
        if write.offset >= len(self._contents(write.inode, before).data):
            yield "only zeros", (Write(write.inode, write.offset, bytes(len(write.content))),)

    def _state(self, how: str, writes: tuple[Write | Cut, ...], names: tuple[Names, ...]) -> CrashState:
        folders = {number: dict(entries) for number, entries in self._folders.items()}
        for change in names:
            _apply_names(folders, change)
        files: dict[str, Contents | None] = {}
        waiting = [("", ROOT)]
        while waiting:
            path, folder = waiting.pop()
            for name, inode in folders[folder].items():
                if inode in folders:
                    files[f"{path}{name}"] = None
                    waiting.append((f"{path}{name}/", inode))
                else:
                    files[f"{path}{name}"] = self._contents(inode, writes)
        return CrashState(how, files)

    def _contents(self, number: Inode, writes: tuple[Write | Cut, ...]) -> Contents:
        inode = self._inode(number)
        mine = tuple(write for write in writes if write.inode == number)
        key = tuple(_short(write) for write in mine)
        if key not in inode.known:
            data = _written(inode.durable, mine)
            inode.known[key] = Contents(data, hashlib.blake2b(data, digest_size=16).digest())
        return inode.known[key]

    def _inode(self, number: Inode) -> _Inode:
        return self._inodes.setdefault(number, _Inode())


def _short(write: Write | Cut) -> tuple[int, ...]:
    """Tells the writes of one moment from each other; Python keeps the hash of bytes."""
    if isinstance(write, Cut):
        return (write.size,)
    return (write.offset, len(write.content), hash(write.content))


def _subsets(steps: tuple[T, ...]) -> Iterator[Choice[T]]:
    """All, none, each beginning, all but one, one alone: a step of each kind of reordering."""
    yield "all kept", steps
    if steps:
        yield "none kept", ()
    for index in range(1, len(steps)):
        yield f"the first {index} of {len(steps)} kept", steps[:index]
    if len(steps) > 1:
        for index, step in enumerate(steps):
            yield f"all but {_shown(step, index)} kept", (*steps[:index], *steps[index + 1 :])
            yield f"only {_shown(step, index)} kept", (step,)


def _shown(step: Unsynced, index: int) -> str:
    match step:
        case Write():
            return f"write {index + 1} ({len(step.content)} bytes at {step.offset} of inode {step.inode})"
        case Cut():
            return f"cut {index + 1} (inode {step.inode} to {step.size})"
        case Names():
            return f"name {index + 1} ({dict(step.changes)})"


def _written(durable: bytes, writes: tuple[Write | Cut, ...] | list[Write | Cut]) -> bytes:
    if not writes:
        return durable
    data = bytearray(durable)
    for write in writes:
        if isinstance(write, Cut):
            data = data[: write.size] + bytes(max(0, write.size - len(data)))
            continue
        if write.offset > len(data):
            data += bytes(write.offset - len(data))
        data[write.offset : write.offset + len(write.content)] = write.content
    return bytes(data)


def _apply_names(folders: dict[Inode, dict[str, Inode]], change: Names) -> None:
    folder = folders[change.folder]
    if change.taken_from is not None:
        old_folder, old_name = change.taken_from
        if folders[old_folder].get(old_name) in change.changes.values():  # else it is another file's since
            del folders[old_folder][old_name]
    for name, inode in change.changes.items():
        if inode is None:
            folder.pop(name, None)
        else:
            folder[name] = inode
