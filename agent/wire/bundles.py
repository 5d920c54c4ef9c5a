"""What a job needs beside its code: a bundle of artefacts, named by the lock that asks for it.

A signed job names its bundle, which is the digest of its lock. What is in the bundle on one platform says a
manifest that the bridge has signed; it names each artefact by its digest. So nothing runs that is not vouched
for (I4), by whatever link it came.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from agent.wire.errors import Malformed

MANIFEST_MAX_BYTES: Final = 1024 * 1024
ARTEFACTS_MAX: Final = 5000
ARTEFACT_MAX_BYTES: Final = 2**31
PART_MAX_BYTES: Final = 128 * 1024  # of an artefact, in one message
PLATFORM_MAX: Final = 100  # characters
PYTHON: Final = "python3"
NODE: Final = "node"
FAMILIES: Final = {PYTHON: PYTHON} | dict.fromkeys(("nodejs", "bun", "bunnative", "deno", "nativets"), NODE)
NONE: Final = "none"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BUNDLE: Final = re.compile(r"(?:python3|node)\.[0-9a-f]{64}")
_PLATFORM: Final = re.compile(r"(?:[cp]p\d{2,4}|node\d{1,3})-(?:none|(?:glibc|musl)_\d+_\d+)-\w+", re.ASCII)
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


class Kind(StrEnum):
    WHEEL = "wheel"
    TARBALL = "tarball"  # of npm: everything is below one folder, which is left out


@dataclass(frozen=True, slots=True, order=True)
class Artefact:
    name: str  # of the file; for people
    sha256: str
    size: int  # bytes
    kind: Kind
    place: str = ""  # below the environment's folder; empty: at its top


@dataclass(frozen=True, slots=True)
class Manifest:
    bundle: str
    platform: str
    artefacts: tuple[Artefact, ...]

    @property
    def size(self) -> int:
        """Bytes to fetch; what stands in two places is fetched once."""
        return sum({one.sha256: one.size for one in self.artefacts}.values())

    def packed(self) -> bytes:
        """The one way to write it down: what is signed."""
        rows = [[one.name, one.sha256, one.size, str(one.kind), one.place] for one in sorted(self.artefacts)]
        known = {"v": 1, "bundle": self.bundle, "platform": self.platform, "artefacts": rows}
        return json.dumps(known, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def manifest_id(self) -> str:
        return hashlib.sha256(self.packed()).hexdigest()


def read_manifest(packed: bytes) -> Manifest:
    """Raises `Malformed`; no name or place in it leads out of the folder that it is unpacked to."""
    if len(packed) > MANIFEST_MAX_BYTES:
        raise Malformed(f"a manifest of {len(packed)} bytes; {MANIFEST_MAX_BYTES} are allowed")
    try:
        known = json.loads(packed)
        artefacts = tuple(_artefact(*row) for row in known["artefacts"])
        manifest = Manifest(str(known["bundle"]), str(known["platform"]), artefacts)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise Malformed(f"not a manifest: {error}") from error
    if not is_bundle(manifest.bundle) or not is_platform(manifest.platform) or len(artefacts) > ARTEFACTS_MAX:
        raise Malformed("a manifest must name its bundle and platform, and not too many artefacts")
    return manifest


def stated(packed: bytes) -> bytes:
    """What the bridge signs of a manifest, so that the signature is of nothing else."""
    return b"orvanta bundle v1\n" + packed


def bundle_of(language: str, lock: str | None) -> str:
    """The name of what this lock asks for; empty when it asks for nothing that we can carry.

    Such as `python3.<SHA-256 of the lock>`: the languages of one family share it.
    """
    family = FAMILIES.get(language, "")
    if not lock or not _asks(family, lock):
        return ""
    return f"{family}.{hashlib.sha256(lock.encode()).hexdigest()}"


def family_of(bundle: str) -> str:
    return bundle.partition(".")[0]


def platform_of(family: str, facts: Mapping[str, str]) -> str:
    """For which platform a bundle of this family is made, by what a site says of itself; empty: for none.

    Such as `cp311-glibc_2_36-x86_64`. Pure, and the same on both sides.
    """
    version = _VERSION.match(facts.get("node" if family == NODE else "python", ""))
    if version is None:
        return ""
    begin = f"node{version[1]}"
    if family == PYTHON:
        short = {"cpython": "cp", "pypy": "pp"}.get(facts.get("implementation", ""), "")
        begin = f"{short}{version[1]}{version[2]}"
    name, _, number = facts.get("libc", "").partition(" ")
    libc = _VERSION.match(number)
    middle = f"{name}_{libc[1]}_{libc[2]}" if libc and name in ("glibc", "musl") else NONE
    found = f"{begin}-{middle}-{re.sub(r'[^A-Za-z0-9]', '_', facts.get('machine', ''))}"
    return found if is_platform(found) else ""


def is_platform(text: str) -> bool:
    return len(text) <= PLATFORM_MAX and bool(_PLATFORM.fullmatch(text))


def is_bundle(text: str) -> bool:
    return bool(_BUNDLE.fullmatch(text))


def is_digest(text: str) -> bool:
    return bool(_DIGEST.fullmatch(text))


def _asks(family: str, lock: str) -> bool:
    if family == PYTHON:
        lines = [line.strip() for line in lock.splitlines()]
        return any(line and not line.startswith(("#", "-")) for line in lines)
    return family == NODE and '"node_modules/' in lock


def _artefact(name: Any, sha256: Any, size: Any, kind: Any, place: Any) -> Artefact:
    """Raises ValueError, TypeError."""
    if not (isinstance(name, str) and isinstance(place, str) and isinstance(sha256, str)):
        raise TypeError("an artefact's name, digest and place are texts")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= ARTEFACT_MAX_BYTES:
        raise ValueError(f"an artefact of {size!r} bytes")
    if not is_digest(sha256) or "/" in name or name in ("", ".", "..") or not _stays_inside(place):
        raise ValueError(f"an artefact must have a plain name, a digest and a place inside: {name[:60]!r}")
    return Artefact(name, sha256, size, Kind(kind), place)


def _stays_inside(place: str) -> bool:
    return not place or all(part not in ("", ".", "..") for part in place.split("/"))
