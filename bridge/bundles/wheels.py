"""The wheels of a lock, for a platform that need not be ours: pip finds and fetches, and installs nothing."""

import asyncio
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

from agent.wire.bundles import Kind
from bridge.bundles.commands import run, without_passwords
from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Fetched, Locked

TOLD_CHARS: Final = 500  # of what pip says
PIN: Final = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?P<extras>\[[A-Za-z0-9._,\s-]*\])?\s*===?\s*(?P<version>[\w.+!-]+)"
    r"(?:\s*;\s*(?P<marker>(?:(?!\s--hash=)[^@])+))?(?P<hashes>(?:\s+--hash=sha\d+:[0-9a-f]+)*)\s*"
)
HASH: Final = re.compile(r"--hash=(sha\d+:[0-9a-f]+)")
SHA256: Final = "sha256:"
OF_UV: Final = {
    "UV_INDEX_URL": "PIP_INDEX_URL", "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_EXTRA_INDEX_URL": "PIP_EXTRA_INDEX_URL", "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_FIND_LINKS": "PIP_FIND_LINKS", "UV_NO_INDEX": "PIP_NO_INDEX",
    "UV_INSECURE_HOST": "PIP_TRUSTED_HOST", "SSL_CERT_FILE": "PIP_CERT",
}  # fmt: skip
PLATFORM: Final = re.compile(r"([cp]p)(\d)(\d+)-(none|(glibc|musl)_(\d+)_(\d+))-(\w+)")
OLD_NAMES: Final = ((17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1"))  # of glibc 2.x
NO_ANSWER: Final = (
    "Retrying (", "ConnectionError", "NewConnectionError", "ReadTimeout", "ConnectTimeout", "Max retries",
    "ProxyError", "SSLError", "HTTP error 5", "IncompleteRead", "Temporary failure", "timed out",
)  # fmt: skip
NO_WHEEL: Final = ("No matching distribution", "Could not find a version")


async def fetch_wheels(wanted: Locked, platform: str, into: Path, env: Mapping[str, str]) -> Fetched:
    """Each file, and where it belongs. Raises `NotToBeHad`, `IndexDown`, OSError.

    `env`: pip's settings, or uv's: the index may be a private one.
    """
    lock, wheels = into / "lock.txt", into / "wheels"
    needed = pins(wanted, environment(platform))
    if not needed:
        return []
    await asyncio.to_thread(lock.write_text, "".join(f"{pin.requirement}\n" for pin in needed))
    await asyncio.to_thread(wheels.mkdir)
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input",
        "--disable-pip-version-check", "--progress-bar", "off", "--no-cache-dir",
        "--dest", str(wheels), "--requirement", str(lock), *tags(platform),
    ]  # fmt: skip
    code, said, errors = await run(command, as_pip_reads(env), into)
    if code:
        raise _why(f"{said}\n{errors}", platform)
    found = await asyncio.to_thread(_checked, wheels, needed)
    return [(path, Kind.WHEEL, "") for path in found]


@dataclass(frozen=True, slots=True)
class Pin:
    requirement: str  # as pip reads it
    name: str  # normalised
    digests: frozenset[str]  # SHA-256, of which its file has one; none: nobody knows


def pins(wanted: Locked, about: Mapping[str, str]) -> list[Pin]:
    """The requirements that hold there.

    Raises `NotToBeHad` for what would lead pip elsewhere.
    """
    lines = [line.strip() for line in wanted.lock.replace("\\\n", " ").splitlines()]
    found = []
    for line in (re.sub(r"\s+#.*", "", line) for line in lines if line and not line.startswith("#")):
        known = PIN.fullmatch(line)
        if known is None:
            raise NotToBeHad(
                f"the lock's line {line[:100]!r} is no pin such as name==1.2.3; "
                "sites without a network get only what an index has as a wheel"
            )
        if known["marker"] and not _holds(known["marker"], about):
            continue
        name, version = known["name"], known["version"]
        hashes = wanted.hashes.get(f"{name}=={version}", HASH.findall(known["hashes"]))
        digests = frozenset(one.removeprefix(SHA256) for one in hashes if one.startswith(SHA256))
        found.append(Pin(f"{name}{known['extras'] or ''}=={version}", _normal(name), digests))
    return found


def environment(platform: str) -> dict[str, str]:
    """What markers ask of a site of this platform. Raises `NotToBeHad`."""
    begin, major, minor, _, _, _, _, machine = _parts(platform)
    name, version = ("cpython", f"{major}.{minor}") if begin == "cp" else ("pypy", f"{major}.{minor}")
    return {
        "implementation_name": name, "implementation_version": f"{version}.0", "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython" if begin == "cp" else "PyPy",
        "platform_release": "", "platform_system": "Linux", "platform_version": "",
        "python_full_version": f"{version}.0", "python_version": version,
        "sys_platform": "linux", "extra": "",
    }  # fmt: skip


def as_pip_reads(env: Mapping[str, str]) -> dict[str, str]:
    """With uv's words for an index in pip's, where pip has none of its own."""
    named = {ours: env[theirs] for theirs, ours in OF_UV.items() if env.get(theirs)}
    return {**named, **env, "PIP_NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


def _holds(marker: str, about: Mapping[str, str]) -> bool:
    try:
        return Marker(marker).evaluate(dict(about))
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName) as error:
        raise NotToBeHad(f"the lock's condition {marker[:100]!r} cannot be read: {error}") from error


def _parts(platform: str) -> tuple[str, ...]:
    """Raises `NotToBeHad`."""
    known = PLATFORM.fullmatch(platform)
    if known is None:
        raise NotToBeHad(f"nobody knows which wheels run on {platform!r}")
    return known.groups("")


def tags(platform: str) -> list[str]:
    """The wheels that run there, as pip wants to be told. Raises `NotToBeHad`."""
    begin, major, minor, _, libc, libc_major, libc_minor, machine = _parts(platform)
    abis = [f"{begin}{major}{minor}", f"abi{major}", "none"] if begin == "cp" else ["none"]
    names = _names(libc, int(libc_major or 0), int(libc_minor or 0), machine)
    return [
        "--implementation", begin, "--python-version", f"{major}.{minor}",
        *(word for abi in abis for word in ("--abi", abi)),
        *(word for name in names for word in ("--platform", name)),
    ]  # fmt: skip


def _names(libc: str, major: int, minor: int, machine: str) -> list[str]:
    """The newest first: pip prefers what comes first."""
    if not libc:
        return [f"linux_{machine}"]
    begin = "manylinux" if libc == "glibc" else "musllinux"
    names = [f"{begin}_{major}_{one}_{machine}" for one in range(minor, -1, -1)]
    if libc == "glibc":
        names += [f"{name}_{machine}" for least, name in OLD_NAMES if minor >= least]
    return [*names, f"linux_{machine}"]


def _checked(wheels: Path, needed: Sequence[Pin]) -> list[Path]:
    """What came, each as the lock names it. Raises `NotToBeHad`."""
    digests = {pin.name: pin.digests for pin in needed}
    found = sorted(wheels.glob("*.whl"))
    for path in found:
        allowed = digests.get(_normal(path.name.split("-")[0]), frozenset())
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if allowed and digest not in allowed:
            raise NotToBeHad(f"the index has another file than the lock names: {path.name}")
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _why(said: str, platform: str) -> NotToBeHad | IndexDown:
    """What pip's words mean."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    told = without_passwords(" ".join(errors or lines[-1:]))[:TOLD_CHARS]
    if "No module named pip" in said:
        return NotToBeHad("the bridge's own Python has no pip; install it there (python -m ensurepip)")
    if any(sign in said for sign in NO_ANSWER):
        return IndexDown(f"the index does not answer: {told}")
    if any(sign in said for sign in NO_WHEEL):
        return NotToBeHad(
            f"there is no wheel for {platform}: {told}. Pin a version that has one, or add one to your index"
        )
    return NotToBeHad(f"pip refuses the lock: {told}")
