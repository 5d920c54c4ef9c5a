"""What a lock looks like, by language, and the hashes of what it names.

A python3 lock is `# py: 3.11` and below it a pin on each line; a lock of JavaScript or TypeScript is a
package.json, a line between, and npm's package-lock.json. Languages without dependencies have an empty one.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("dependencies.sql"))
PYTHON: Final = "python3"
BUN: Final = "bun"
OF_NPM: Final = frozenset({BUN, "bunnative", "deno", "nativets", "nodejs"})  # JavaScript, TypeScript
RESOLVED: Final = frozenset({PYTHON, *OF_NPM})  # the languages whose dependencies we resolve
HEAD: Final = re.compile(r"#\s*py:\s*([\d.]+)\s*")
BETWEEN: Final = "\n//package-lock.json\n"
NOTHING: Final = ""  # the lock of whatever needs nothing, but of python3


@dataclass(frozen=True, slots=True)
class Pin:
    name: str
    version: str
    marker: str | None = None  # PEP 508: where it is needed

    @property
    def key(self) -> str:
        return f"{self.name}=={self.version}"

    def __str__(self) -> str:
        return self.key if self.marker is None else f"{self.key} ; {self.marker}"


@dataclass(frozen=True, slots=True)
class PythonLock:
    version: str
    pins: tuple[Pin, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"# py: {self.version}", *map(str, self.pins)])


@dataclass(frozen=True, slots=True)
class NpmLock:
    package: Mapping[str, Any]
    lock: Mapping[str, Any]

    def __str__(self) -> str:
        return json.dumps(self.package, indent=2) + BETWEEN + json.dumps(self.lock, indent=2)


def pin(line: str) -> Pin | None:
    """None where the line is no pin: a comment, an address."""
    text, _, marker = line.strip().partition(";")
    name, equals, version = text.strip().partition("==")
    if not equals or not name or name.startswith("#"):
        return None
    return Pin(name.strip(), version.strip(), marker.strip() or None)


def python_lock(text: str, default_version: str) -> PythonLock:
    """Of a lock that somebody else made too: without `# py` it is of the default version."""
    lines = text.splitlines()
    said = next((head[1] for line in lines if (head := HEAD.fullmatch(line))), default_version)
    return PythonLock(said, tuple(found for line in lines if (found := pin(line)) is not None))


def npm_lock(text: str) -> NpmLock | None:
    """None where nothing is needed, or the lock is of another tool. Raises ValueError on a damaged one."""
    package, between, lock = text.partition(BETWEEN)
    return NpmLock(json.loads(package), json.loads(lock)) if between else None


def hash_of(lock: str) -> str:
    return hashlib.sha256(lock.encode()).hexdigest()


def remember(
    connection: Connection, lock: str, language: str, hashes: Mapping[str, Iterable[str]], now_s: float
) -> None:
    """What a resolution said of the files of each pin, by the lock's text."""
    values = {
        "lock_hash": hash_of(lock),
        "language": language,
        "hashes": json.dumps({key: list(ones) for key, ones in hashes.items()}),
        "now": now_s,
    }
    connection.execute(SQL["remember"], values)


def hashes_of(connection: Connection, lock: str) -> Mapping[str, tuple[str, ...]]:
    """By pin (`name==version`): `sha256:…` of each of its files. Empty for a lock that we did not make."""
    row = connection.execute(SQL["hashes"], {"lock_hash": hash_of(lock)}).fetchone()
    return {} if row is None else {key: tuple(ones) for key, ones in json.loads(row["hashes"]).items()}
