"""Reads what strace wrote: every change that a program made below one folder, in order.

A call that the model does not know is an error, never skipped: a step left out would be a state not tried.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from tests.crash_states.disk import Files
from tests.crash_states.operations import ROOT, Cut, Inode, Mark, Names, Step, Sync, Write

CALLS: Final = (
    "open,openat,openat2,creat,close,dup,dup2,dup3,write,writev,pwrite64,pwritev,pwritev2,lseek,truncate,"
    "ftruncate,fallocate,fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,"
    "rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,mmap,sendfile,copy_file_range"
)
LINE: Final = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?).*")
UNFINISHED: Final = re.compile(r"(\d+) +((\w+)\(.*?),? *<unfinished \.\.\.>")
RESUMED: Final = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
# SQLite makes its shared memory anew from the WAL; the lock's text is for people and is not synced.
NOT_DURABLE: Final = re.compile(r"-shm$|^lock$")


class Untraceable(Exception):
    """The program did something to the folder that the model of the disk has no word for."""


@dataclass(slots=True)
class _Open:
    inode: Inode
    position: int = 0


class Follower:
    """Follows the lives of one folder: files stay from one trace to the next, descriptors do not."""

    def __init__(self, root: Path, marks: Path) -> None:
        self._root = PurePosixPath(root)
        self._marks = str(marks)
        self._known: dict[PurePosixPath, Inode] = {self._root: ROOT}
        self._next = ROOT + 1
        self._open: dict[int, _Open] = {}
        self._mark_fd = -1
        self.steps: list[Step] = []

    def begin_with(self, files: Files) -> None:
        """What is in the folder, durably, before the first trace."""
        for path, file in sorted(files.items()):
            if file is None:
                self._make_folder(self._root / path)
            else:
                inode = self._new()
                self._named(self._root / path, inode)
                self.steps.append(Write(inode, 0, file.data))
        for inode in self._known.values():
            self.steps.append(Sync(inode, len(self.steps)))

    def follow(self, trace: Path) -> None:
        """Adds one process's life. Raises `Untraceable`."""
        self._open = {}
        begun: dict[str, tuple[str, int]] = {}
        for line in trace.read_text().splitlines():
            if part := UNFINISHED.fullmatch(line):
                pid, call, name = part.groups()
                begun[pid] = (call, len(self.steps))
                if name == "close":  # its number is free before the call has come back
                    self._open.pop(int(call.partition("(")[2]), None)
                continue
            before = len(self.steps)
            if part := RESUMED.fullmatch(line):
                pid, rest = part.groups()
                call, before = begun.pop(pid)
                line = f"{pid} {call}{rest}"  # noqa: PLW2901 one call was written in two lines
            if whole := LINE.fullmatch(line):
                _, name, arguments, answer = whole.groups()
                if answer != "?" and not answer.startswith("-"):
                    self._take(name, arguments.split(", "), int(answer, 0), before)
            elif "<unfinished" not in line and not line.endswith(("+++", "---")):
                raise Untraceable(line[:200])

    def _take(self, name: str, arguments: list[str], answer: int, before: int) -> None:
        if name in ("openat", "open"):
            path, flags = arguments[-2:] if "O_" in arguments[-1] else arguments[-3:-1]
            self._opened(path, flags.split("|"), answer)
        elif name == "close":
            self._open.pop(int(arguments[0]), None)
        elif name == "write" and int(arguments[0]) == self._mark_fd:
            self._mark(_bytes(arguments[1]).decode())
        elif name in ("mkdir", "mkdirat"):
            self._made_folder(arguments[-2])
        elif name in ("rename", "renameat", "renameat2"):
            self._renamed(*[one for one in arguments if one.startswith('"')])
        elif name in ("unlink", "unlinkat", "rmdir"):
            self._removed(next(one for one in arguments if one.startswith('"')))
        elif name == "mmap":
            if "MAP_SHARED" in arguments[3] and "PROT_WRITE" in arguments[2]:
                self._refuse_ours(arguments[4:5], name)
        elif arguments[0].isdecimal() and int(arguments[0]) in self._open:
            self._on_file(name, self._open[int(arguments[0])], arguments, answer, before)
        else:
            self._refuse_ours(arguments, name)

    def _on_file(self, name: str, file: _Open, arguments: list[str], answer: int, before: int) -> None:
        if name in ("fsync", "fdatasync"):
            self.steps.append(Sync(file.inode, before))
        elif name == "pwrite64":
            self.steps.append(Write(file.inode, int(arguments[3]), _bytes(arguments[1])[:answer]))
        elif name == "write":
            self.steps.append(Write(file.inode, file.position, _bytes(arguments[1])[:answer]))
            file.position += answer
        elif name == "lseek":
            file.position = answer
        elif name == "ftruncate":
            self.steps.append(Cut(file.inode, int(arguments[1])))
        else:
            raise Untraceable(f"{name} on a file of the folder")

    def _opened(self, quoted: str, flags: list[str], descriptor: int) -> None:
        self._open.pop(descriptor, None)
        if _bytes(quoted).decode() == self._marks:
            self._mark_fd = descriptor
        path = self._ours(quoted)
        if path is None:
            return
        if "O_APPEND" in flags or "O_TMPFILE" in flags:
            raise Untraceable(f"{path} opened with {flags}")
        if path not in self._known:
            self._named(path, self._new())
        elif "O_TRUNC" in flags:
            self.steps.append(Cut(self._known[path], 0))
        self._open[descriptor] = _Open(self._known[path])

    def _made_folder(self, quoted: str) -> None:
        if path := self._ours(quoted):
            self._make_folder(path)

    def _make_folder(self, path: PurePosixPath) -> None:
        inode = self._new()
        self._known[path] = inode
        self.steps.append(Names(self._known[path.parent], {path.name: inode}, inode))

    def _named(self, path: PurePosixPath, inode: Inode) -> None:
        self._known[path] = inode
        self.steps.append(Names(self._known[path.parent], {path.name: inode}))

    def _renamed(self, old_quoted: str, new_quoted: str) -> None:
        old, new = self._ours(old_quoted), self._ours(new_quoted)
        if old is None or new is None:
            return self._refuse_ours([old_quoted, new_quoted], "rename")
        inode = self._known.pop(old)
        for path in [path for path in self._known if path.is_relative_to(old)]:  # what a folder holds
            self._known[new / path.relative_to(old)] = self._known.pop(path)
        self._known[new] = inode
        if old.parent == new.parent:
            self.steps.append(Names(self._known[old.parent], {old.name: None, new.name: inode}))
        else:
            taken_from = (self._known[old.parent], old.name)
            self.steps.append(Names(self._known[new.parent], {new.name: inode}, taken_from=taken_from))
        return None

    def _removed(self, quoted: str) -> None:
        if path := self._ours(quoted):
            del self._known[path]
            self.steps.append(Names(self._known[path.parent], {path.name: None}))

    def _mark(self, text: str) -> None:
        word, call, note = text.rstrip("\n").split(" ", 2)
        self.steps.append(Mark(int(call), word == "done", note))

    def _new(self) -> Inode:
        self._next += 1
        return self._next

    def _ours(self, quoted: str) -> PurePosixPath | None:
        """The path, when it lies in the folder and is one that is meant to last."""
        path = PurePosixPath(_bytes(quoted).decode(errors="replace"))
        inside = path.is_relative_to(self._root) and path != self._root.parent
        return path if inside and not NOT_DURABLE.search(path.name) else None

    def _refuse_ours(self, arguments: list[str], name: str) -> None:
        for argument in arguments:
            if argument.startswith('"') and '"...' not in argument and self._ours(argument):
                raise Untraceable(f"{name} of {self._ours(argument)}")
            if argument.isdecimal() and int(argument) in self._open and name != "write":
                raise Untraceable(f"{name} of a file of the folder")


def _bytes(quoted: str) -> bytes:
    if not quoted.endswith('"'):
        raise Untraceable(f"strace has cut a text short: …{quoted[-40:]}")
    return bytes.fromhex(quoted.strip('"').replace("\\x", ""))
