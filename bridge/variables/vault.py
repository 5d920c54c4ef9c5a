"""Secrets at rest: sealed with a key that lies beside the store, so that a stolen store opens nothing."""

import base64
import binascii
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import BridgeError, ConfigError
from bridge.store.statements import queries
from bridge.store.store import Connection, Store

SQL: Final = queries(Path(__file__).with_name("variables.sql"))
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FINGERPRINT: Final = "vault_key"  # the setting that tells which key the secrets were sealed with


class Unreadable(BridgeError):
    """A sealed text was not sealed by this key for this place, or was changed since."""


class Vault:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, *place: str) -> str:
        """`place` is sealed in: the text opens nowhere else, so no row can be moved to a readable path."""
        nonce = os.urandom(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), _bound(place))).decode()

    def open(self, sealed: str, *place: str) -> str:
        """Raises `Unreadable`."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], _bound(place)).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise Unreadable(f"the secret {place[-1]} does not open; set it again") from None


async def open_vault(store: Store) -> Vault:
    """The vault whose key is the file `store.key_path`; the first time it makes one.

    Raises `ConfigError` when secrets are there and their key is not: a new one would only seem to work. All
    bridges of a store must have the same one, before there is any secret.
    """
    path = store.key_path
    known, needed = await store.read(_known)
    needed = needed or (store.is_shared and known is not None)
    if not path.exists() and needed:
        raise ConfigError(
            f"the store: {path}, the key of the store's secrets, is missing; put it back from the backup"
        )
    key = _read_or_make(path)
    fingerprint = hashlib.sha256(b"orvanta vault " + key).hexdigest()
    if known != fingerprint and needed:
        raise ConfigError(
            f"the store: {path} is not the key that the store's secrets are sealed with; "
            "put back the one from the backup, or from the other bridge."
        )
    if known != fingerprint and await store.write(lambda db: _agreed(db, known, fingerprint)) != fingerprint:
        raise ConfigError(
            f"the store: {path} is not the key of the bridge that was first; give it the same file"
        )
    return Vault(key)


def _agreed(connection: Connection, known: str | None, fingerprint: str) -> str | None:
    """The fingerprint that holds from now on: another bridge may have been first in this moment."""
    newer, _ = _known(connection)
    if newer != known:
        return newer
    connection.execute(SQL["set"], {"name": FINGERPRINT, "value": fingerprint})
    return fingerprint


def _known(connection: Connection) -> tuple[str | None, bool]:
    row = connection.execute(SQL["setting"], {"name": FINGERPRINT}).fetchone()
    needed = connection.execute(SQL["any_secret"]).fetchone() is not None
    return None if row is None else str(row["value"]), needed


def _read_or_make(path: Path) -> bytes:
    """Durable before anything is sealed with it. Two processes that make one agree: the first stays."""
    try:
        if not path.exists():
            _make(path)
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the store: the key {path} cannot be used: {error}") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"the store: the key {path} must be {KEY_BYTES * 2} hexadecimal digits")
    return key


def _make(path: Path) -> None:
    temp = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        path.hardlink_to(temp)
    temp.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _bound(place: tuple[str, ...]) -> bytes:
    return "\0".join(place).encode()
