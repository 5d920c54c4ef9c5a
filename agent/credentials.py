"""Secrets come from files, or from systemd, rather than from an environment that shows them to many."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"  # of systemd: LoadCredential= and LoadCredentialEncrypted=
MOST_BYTES: Final = 1024 * 1024
ANYBODY: Final = 0o007
NOTHING: Final = b"\n"  # systemd has no shorter SetCredential=, which stands in where there is no file
ENGINES: Final = Path("/run/secrets")  # a container engine's own: Docker and podman put 0444 files there


class BadCredential(ValueError):
    """A secret cannot be read, or is given twice. The message names the setting and never its value."""


def file_of(env: Mapping[str, str], name: str) -> Path | None:
    """The file that `<name>_FILE` names, or systemd's credential of this name in small letters.

    One that is empty is none: so a unit says of a secret that it may be given, and need not.
    """
    if named := env.get(f"{name}_FILE", "").strip():
        return Path(named)
    given = Path(env.get(CREDENTIALS) or "/nowhere") / name.lower()
    return given if given.is_file() and given.stat().st_size > len(NOTHING) else None


def text_of(env: Mapping[str, str], name: str) -> str | None:
    """A secret setting: `<name>`, or what its file holds. Raises `BadCredential`."""
    text = env.get(name, "").strip()
    if text and env.get(f"{name}_FILE", "").strip():
        raise BadCredential(f"{name} and {name}_FILE are both set; leave one of them out")
    path = None if text else file_of(env, name)
    if path is None:
        return text or None
    try:
        return read(path, f"{name}_FILE").decode().strip()
    except UnicodeDecodeError:
        raise BadCredential(f"{name}_FILE: {path} holds no text") from None


def read(path: Path, setting: str) -> bytes:
    """The content of a secret's file. Raises `BadCredential` when it is open to every user of the machine.

    In a container its mode says nothing: the wall is the container, and the engine chooses the mode.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES)
        mode = path.stat().st_mode
    except OSError as error:
        raise BadCredential(f"{setting}: {path} cannot be read: {error.strerror}") from error
    if mode & ANYBODY and path.parent != ENGINES:
        raise BadCredential(f"{setting}: {path} is open to every user of this machine; chmod 600 {path}")
    return content
