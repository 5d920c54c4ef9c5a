"""Artefacts become folders, and folders an environment: by links, so that each file is on the disk once."""

import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import structlog
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

from agent.wire.bundles import Artefact, Kind
from agent.wire.errors import Malformed

log = structlog.get_logger()

COMPILE_S: Final = 600.0
UNPACKED_MAX_BYTES: Final = 8 * 1024**3  # of one artefact: what unpacks to more is no package
FILE: Final = 0o444
FOLDER: Final = 0o755
CLOSED: Final = 0o555  # no job of our own account changes by mistake what others run
PROGRAM: Final = 0o555
SCHEME: Final[dict[str, str]] = {
    "purelib": "", "platlib": "", "headers": "include", "scripts": "bin", "data": "data",
}  # fmt: skip


def unpack(artefact: Artefact, file: Path, into: Path, python: str | None) -> None:
    """Its content, compiled where there is something to compile. Raises OSError, `Malformed`."""
    try:
        if artefact.kind is Kind.WHEEL:
            _wheel(artefact, file, into)
        else:
            _tarball(file, into)
    except (zipfile.BadZipFile, tarfile.TarError, ValueError, KeyError, AssertionError, EOFError) as error:
        raise Malformed(f"{artefact.name} cannot be unpacked: {type(error).__name__}: {error}") from error
    if artefact.kind is Kind.WHEEL and python is not None:
        _compile(python, into)


def link(source: Path, into: Path) -> None:
    """Each file of `source`, below `into`. Of two with one name the first stays. Raises OSError."""
    for place, _, names in os.walk(source):
        folder = into / Path(place).relative_to(source)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = folder / name
            if not path.exists():
                path.hardlink_to(Path(place, name))


def close(folder: Path) -> None:
    """Nothing in it is to be written any more. Raises OSError."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            path.chmod(PROGRAM if path.stat().st_mode & 0o100 else FILE)
        if Path(place) != folder:  # which is to be renamed
            Path(place).chmod(CLOSED)
    folder.chmod(FOLDER)


def size_below(folder: Path) -> int:
    return sum(Path(place, name).lstat().st_size for place, _, names in os.walk(folder) for name in names)


def _wheel(artefact: Artefact, file: Path, into: Path) -> None:
    """Under its own name: it has the digest's on the disk, and a wheel's name says what it is."""
    schemes = {name: str(into / below) if below else str(into) for name, below in SCHEME.items()}
    destination = SchemeDictionaryDestination(schemes, interpreter="python3", script_kind="posix")
    with zipfile.ZipFile(file) as archive:
        _require_size(sum(one.file_size for one in archive.infolist()))
        archive.filename = artefact.name
        install(WheelFile(archive), destination, {"INSTALLER": b"orvanta"})


def _tarball(file: Path, into: Path) -> None:
    """Without the folder that npm puts everything in."""
    with tarfile.open(file, "r:*") as archive:
        members = archive.getmembers()
        _require_size(sum(one.size for one in members))
        for member in members:
            _, _, below = member.name.partition("/")
            if not below or not member.isfile():  # folders come with their files; npm packs no links
                continue
            path = into / below
            if ".." in Path(below).parts or Path(below).is_absolute():
                raise Malformed(f"{member.name} leads out of its package")
            path.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            if source is not None:
                with source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                path.chmod(PROGRAM if member.mode & 0o100 else FILE)


def _require_size(size: int) -> None:
    if size > UNPACKED_MAX_BYTES:
        raise Malformed(f"it unpacks to {size} bytes; {UNPACKED_MAX_BYTES} are allowed")


def _compile(python: str, folder: Path) -> None:
    """By the jobs' own interpreter. Without it they compile what they import each time, and run as well."""
    command = [python, "-I", "-m", "compileall", "-q", "-s", str(folder), str(folder)]
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMPILE_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("bundle.not_compiled", reason=str(error))
