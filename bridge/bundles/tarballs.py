"""The packages of npm's lockfile, as tarballs: npm fetches them with its settings, and runs none of them."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.wire.bundles import Kind
from bridge.bundles.commands import run, without_passwords
from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Fetched, Locked

BETWEEN: Final = "\n//package-lock.json\n"
AT_ONCE: Final = 40  # packages in one command line
TOLD_CHARS: Final = 500
PLATFORM: Final = re.compile(r"node\d+-(?:none|(glibc|musl)_\d+_\d+)-(\w+)")
CPUS: Final = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "ia32"}
NAME: Final = re.compile(r"(?:@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9._~][A-Za-z0-9._~-]*")
VERSION: Final = re.compile(r"[A-Za-z0-9.+-]+")
NO_ANSWER: Final = (
    "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ERR_SOCKET_TIMEOUT", "E50", "E429",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Package:
    place: str  # node_modules/…
    name: str
    version: str
    integrity: str

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"


async def fetch_tarballs(wanted: Locked, platform: str, into: Path, env: Mapping[str, str]) -> Fetched:
    """Each file, and the places where it belongs. Raises `NotToBeHad`, `IndexDown`, OSError."""
    needed = packages(wanted.lock, platform)
    npm = shutil.which("npm")
    if npm is None:
        raise NotToBeHad("npm is not on the bridge's machine; install it there to carry JavaScript packages")
    folder = into / "tarballs"
    await asyncio.to_thread(folder.mkdir)
    specs = sorted({one.spec for one in needed})
    files: dict[str, Path] = {}
    for start in range(0, len(specs), AT_ONCE):
        command = [npm, "pack", "--json", "--ignore-scripts", "--pack-destination", str(folder)]
        code, said, errors = await run([*command, *specs[start : start + AT_ONCE]], env, folder)
        if code:
            raise _why(errors)
        files |= _packed(said, folder, needed)
    return [(files[one.spec], Kind.TARBALL, one.place) for one in needed]


def packages(lock: str, platform: str) -> list[Package]:
    """What the lock wants at this platform. Raises `NotToBeHad`."""
    known = PLATFORM.fullmatch(platform)
    if known is None:
        raise NotToBeHad(f"nobody knows which packages run on {platform!r}")
    here = {"os": "linux", "cpu": CPUS.get(known[2], known[2]), "libc": known[1] or ""}
    try:
        entries = json.loads(lock.partition(BETWEEN)[2])["packages"]
        found = list(_packages(entries, here))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NotToBeHad(f"the lock is not npm's of version 3: {error!r}") from error
    for one in found:
        if not NAME.fullmatch(one.name) or not VERSION.fullmatch(one.version) or not one.integrity:
            raise NotToBeHad(f"the lock's {one.place[:100]} is no package of a registry, with its integrity")
    return found


def _packages(entries: Mapping[str, Any], here: Mapping[str, str]) -> Iterator[Package]:
    for place, entry in entries.items():
        if (
            not place
            or entry.get("dev")
            or not all(_runs(entry.get(what), name) for what, name in here.items())
        ):
            continue
        name = entry.get("name") or place.rpartition("node_modules/")[2]
        yield Package(place, name, str(entry["version"]), str(entry.get("integrity") or ""))


def _runs(allowed: Sequence[str] | str | None, name: str) -> bool:
    """As npm reads `os`, `cpu` and `libc`: names, or names with `!` that are not."""
    words = [allowed] if isinstance(allowed, str) else list(allowed or ())
    if f"!{name}" in words:
        return False
    wanted = [word for word in words if not word.startswith("!")]
    return not wanted or not name or name in wanted or "any" in wanted


def _packed(said: str, folder: Path, needed: Sequence[Package]) -> dict[str, Path]:
    """By spec. Raises `NotToBeHad` for a file that the lock does not name."""
    integrities = {one.spec: one.integrity for one in needed}
    found: dict[str, Path] = {}
    try:
        for one in json.loads(said):
            spec = f"{one['name']}@{one['version']}"
            if one["integrity"] not in integrities[spec].split():
                raise NotToBeHad(f"the registry has another file than the lock names: {spec}")
            found[spec] = folder / Path(one["filename"]).name
    except (ValueError, LookupError, TypeError) as error:
        raise NotToBeHad(f"npm said something that cannot be read: {error!r}") from error
    return found


def _why(errors: str) -> NotToBeHad | IndexDown:
    lines = [line.removeprefix("npm error ").strip() for line in errors.splitlines() if "npm error" in line]
    told = without_passwords(" ".join(lines[:3] or errors.splitlines()[-1:]))[:TOLD_CHARS]
    if any(sign in errors for sign in NO_ANSWER):
        return IndexDown(f"the registry does not answer: {told}")
    return NotToBeHad(f"npm cannot fetch what the lock names: {told}")
