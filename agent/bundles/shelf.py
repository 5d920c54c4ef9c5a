"""What of bundles is on this disk: files by their digest, each whole or on its way; nothing else is believed.

    manifests/<bundle>      its digest in a line, then the manifest
    partial/<sha256>        the first bytes of an artefact
    files/<sha256>          an artefact, checked
    unpacked/<sha256>       what was in it; whole once `<sha256>.whole` stands beside it
    environments/<manifest> links to what its artefacts unpacked to; whole likewise

All of it can be fetched again. A marker is written when the disk has all that it speaks of, and what has none
is removed at start.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import structlog

from agent.executor.directory import remove_tree
from agent.spool.blobs import fsync_dir, write_durably
from agent.wire.bundles import Artefact, Manifest, is_bundle, is_digest, read_manifest
from agent.wire.errors import Malformed

log = structlog.get_logger()

WHOLE: Final = ".whole"
NEW: Final = ".new"
READ_BYTES: Final = 1024 * 1024
PASSAGE: Final = 0o711  # jobs of another account go through, and list nothing


class Shelf:
    """Blocks: to be called beside the loop, by one caller at a time."""

    def __init__(self, folder: Path, python: str | None) -> None:
        """`folder`: of its own. `python`: of the jobs; it compiles once what they would each time."""
        self._folder = folder
        self._python = python
        self._sizes: dict[Path, int] = {}  # of files, and of what is unpacked
        self.used_bytes = 0  # their sum, for who asks while we work

    def load(self) -> list[Manifest]:
        """What is here, the one used last at the end; what a crash left half done goes. Raises OSError."""
        for place in ("manifests", "partial", "files", "unpacked", "environments"):
            (self._folder / place).mkdir(parents=True, exist_ok=True)
        for passed in (self._folder, self._folder / "environments"):
            passed.chmod(PASSAGE)
        for place in ("unpacked", "environments"):
            self._sweep(self._folder / place)
        for path in [*self._in("partial"), *self._in("files")]:
            self._count(path, path.stat().st_size)
        by_use = sorted(self._in("manifests"), key=lambda path: path.stat().st_mtime)
        found = [manifest for path in by_use if (manifest := self._read(path)) is not None]
        self._drop_all_but(found)
        return found

    def _drop_all_but(self, kept: Collection[Manifest]) -> None:
        """What no manifest names: a crash took its own away first."""
        wanted = {artefact.sha256 for one in kept for artefact in one.artefacts}
        for path in [*self._in("partial"), *self._in("files")]:
            if path.name not in wanted:
                path.unlink()
                self._count(path, 0)
        environments = {one.manifest_id for one in kept}
        for place, names in (("unpacked", wanted), ("environments", environments)):
            for path in [one for one in (self._folder / place).iterdir() if one.is_dir()]:
                if path.name not in names:
                    self._remove(path)

    def keep(self, manifest: Manifest) -> None:
        """In place of what this bundle was before. Raises OSError."""
        content = manifest.manifest_id.encode() + b"\n" + manifest.packed()
        write_durably(self._folder / "manifests" / manifest.bundle, content)

    def have(self, artefact: Artefact) -> int:
        """So many of its first bytes are here; all of them once it has been checked, or unpacked."""
        if self._whole(artefact) or self._file(artefact).exists():
            return artefact.size
        try:
            return min(artefact.size, self._partial(artefact).stat().st_size)
        except OSError:
            return 0

    def is_here(self, artefact: Artefact) -> bool:
        return self._whole(artefact) or self._file(artefact).exists()

    def add(self, artefact: Artefact, start: int, part: bytes) -> int:
        """Its bytes from `start`, where those that are here end. How many are here then. Raises OSError."""
        path = self._partial(artefact)
        with path.open("ab") as file:
            if file.tell() != start:  # a crash took what had not reached the disk
                return file.tell()
            file.write(part)
        self._count(path, start + len(part))
        return start + len(part)

    def check(self, artefact: Artefact) -> bool:
        """Whether all of it came, and is what the manifest names (I4); if not, it is gone. Raises OSError."""
        path, digest = self._partial(artefact), hashlib.sha256()
        path.touch()  # an empty one never came
        with path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                digest.update(piece)
            os.fsync(file.fileno())
        self._count(path, 0)
        if digest.hexdigest() != artefact.sha256:
            log.warning("artefact.damaged", name=artefact.name)
            path.unlink()
            return False
        path.replace(self._file(artefact))
        fsync_dir(self._file(artefact).parent)
        self._count(self._file(artefact), artefact.size)
        return True

    def build(self, manifest: Manifest) -> None:
        """Its environment, of what is unpacked once for all that need it. Raises OSError, `Malformed`."""
        from agent.bundles import unpacking  # noqa: PLC0415 zip, tar and wheels: most agents never unpack any

        for artefact in manifest.artefacts:
            if not self._whole(artefact):
                self._unpack(artefact)
        environment = self._environment(manifest)
        if self._marker(environment).exists():
            return
        new = _emptied(environment)
        for artefact in sorted(manifest.artefacts):
            unpacking.link(self._unpacked(artefact), new / artefact.place if artefact.place else new)
        unpacking.close(new)
        self._finish(new, environment)

    def is_built(self, manifest: Manifest) -> bool:
        return self._marker(self._environment(manifest)).exists()

    def folder_of(self, manifest: Manifest) -> Path:
        """Where jobs find it; from now on it was used last."""
        with contextlib.suppress(OSError):
            os.utime(self._folder / "manifests" / manifest.bundle)
        return self._environment(manifest).absolute()

    def drop(self, manifest: Manifest, others: Collection[Manifest]) -> None:
        """It goes, with all that none of `others` needs. Raises OSError."""
        (self._folder / "manifests" / manifest.bundle).unlink(missing_ok=True)
        if manifest.manifest_id not in {one.manifest_id for one in others}:
            self._remove(self._environment(manifest))
        wanted = {artefact.sha256 for one in others for artefact in one.artefacts}
        for artefact in manifest.artefacts:
            if artefact.sha256 in wanted:
                continue
            for path in (self._file(artefact), self._partial(artefact)):
                path.unlink(missing_ok=True)
                self._count(path, 0)
            self._remove(self._unpacked(artefact))

    def _unpack(self, artefact: Artefact) -> None:
        from agent.bundles import unpacking  # noqa: PLC0415 see above

        path = self._unpacked(artefact)
        new = _emptied(path)
        unpacking.unpack(artefact, self._file(artefact), new, self._python)
        self._finish(new, path, unpacking.size_below(new))
        file = self._file(artefact)
        file.unlink()
        self._count(file, 0)

    def _finish(self, new: Path, path: Path, size: int = 0) -> None:
        """The marker comes last: with it the disk has the rest, whatever happens to its power."""
        _flush(new)
        new.replace(path)
        write_durably(self._marker(path), str(size).encode())
        self._count(path, size)

    def _sweep(self, place: Path) -> None:
        """Remove what has no marker, and count what has."""
        for path in list(place.iterdir()):
            if path.name.endswith(WHOLE):
                if not path.with_name(path.name.removesuffix(WHOLE)).is_dir():
                    path.unlink()
                continue
            if not self._marker(path).exists():
                remove_tree(path) if path.is_dir() else path.unlink()
                continue
            with contextlib.suppress(ValueError):
                self._count(path, int(self._marker(path).read_text()))

    def _read(self, path: Path) -> Manifest | None:
        """None, and it is gone, when it is damaged."""
        digest, _, packed = path.read_bytes().partition(b"\n")
        if hashlib.sha256(packed).hexdigest().encode() == digest:
            with contextlib.suppress(Malformed):  # of another release
                return read_manifest(packed)
        log.warning("manifest.damaged", bundle=path.name)
        path.unlink()
        return None

    def _in(self, place: str) -> Iterator[Path]:
        for path in list((self._folder / place).iterdir()):
            if is_digest(path.name) or is_bundle(path.name):
                yield path
            else:
                path.unlink()  # what a crash left of a write

    def _remove(self, path: Path) -> None:
        """The marker goes first."""
        self._marker(path).unlink(missing_ok=True)
        if path.exists():
            remove_tree(path)
        self._count(path, 0)

    def _whole(self, artefact: Artefact) -> bool:
        return self._marker(self._unpacked(artefact)).exists()

    def _partial(self, artefact: Artefact) -> Path:
        return self._folder / "partial" / artefact.sha256

    def _file(self, artefact: Artefact) -> Path:
        return self._folder / "files" / artefact.sha256

    def _unpacked(self, artefact: Artefact) -> Path:
        return self._folder / "unpacked" / artefact.sha256

    def _environment(self, manifest: Manifest) -> Path:
        return self._folder / "environments" / manifest.manifest_id

    def _count(self, path: Path, size: int) -> None:
        self.used_bytes += size - self._sizes.pop(path, 0)
        if size:
            self._sizes[path] = size

    @staticmethod
    def _marker(path: Path) -> Path:
        return path.with_name(path.name + WHOLE)


def _flush(folder: Path) -> None:
    """On return no power cut takes a file of it. All were written before: the disk orders them itself."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(place, name)
            if path.stat().st_nlink == 1:  # else it was, when it was unpacked
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        fsync_dir(Path(place))


def _emptied(path: Path) -> Path:
    """A fresh folder in which `path` is made."""
    new = path.with_name(path.name + NEW)
    for left in (new, path):
        if left.exists():
            remove_tree(left)
    new.mkdir()
    return new
