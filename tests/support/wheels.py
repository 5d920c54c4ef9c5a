"""Small wheels, made here, so that no test needs a network."""

import base64
import hashlib
import zipfile
from pathlib import Path

from agent.wire.bundles import Artefact, Kind


def wheel(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, str],
    tag: str = "py3-none-any",
    *,
    binary: dict[str, bytes] | None = None,
) -> Path:
    """A wheel of these files in `folder`."""
    info = f"{name}-{version}.dist-info"
    content = {name_: text.encode() for name_, text in files.items()} | (binary or {})
    content |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_, text in content.items():
            archive.writestr(zipfile.ZipInfo(name_, (2020, 1, 1, 0, 0, 0)), text)
    return path


def artefact(path: Path, kind: Kind = Kind.WHEEL, place: str = "") -> Artefact:
    content = path.read_bytes()
    return Artefact(path.name, hashlib.sha256(content).hexdigest(), len(content), kind, place)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
