"""Content at rest, sealed by a key that lies elsewhere: a stolen spool opens to nobody."""

import hashlib
import itertools
import os
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MARK: Final = b"\xc1\x01"  # begins what is sealed; no msgpack, no JSON and no UTF-8 text begins with 0xc1
KEY_BYTES: Final = 32
ID_BYTES: Final = 8
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
HEAD_BYTES: Final = len(MARK) + ID_BYTES + SALT_BYTES
OVERHEAD: Final = HEAD_BYTES + NONCE_BYTES + 16  # with the tag of AES-GCM


class Seal:
    """AES-256-GCM under a key that each life of the agent derives anew, so that no nonce is used twice.

    Without a key it leaves everything as it is. What was kept before there was a key is read as it is, too.
    """

    def __init__(self, key: bytes | None = None, *older: bytes) -> None:
        """`key`: 32 bytes. What `older` keys have sealed opens, too."""
        self.keys = () if key is None else (key, *older)  # only for the note that wraps them
        self._by_id = {_id_of(one): one for one in self.keys}
        self.key_id = "" if key is None else _id_of(key)
        self._head = b""
        if key is not None:
            salt = os.urandom(SALT_BYTES)
            self._head = MARK + bytes.fromhex(self.key_id) + salt
            self._cipher = _cipher(key, salt)
        self._numbers = itertools.count()

    def close(self, content: bytes, *place: str | int) -> bytes:
        """`place` is sealed in: what is moved to another row does not open there."""
        if not self.keys:
            return content
        nonce = next(self._numbers).to_bytes(NONCE_BYTES, "big")
        return self._head + nonce + self._cipher.encrypt(nonce, content, self._head + _bound(place))

    def open(self, kept: bytes, *place: str | int) -> bytes | None:
        """None: it was not sealed by this key for this place, or was changed since."""
        if not is_sealed(kept):
            return kept
        head, rest = kept[:HEAD_BYTES], kept[HEAD_BYTES:]
        key = self._by_id.get(_sealed_by(kept))
        if key is None:
            return None
        try:
            cipher = _cipher(key, head[-SALT_BYTES:])
            return cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + _bound(place))
        except (InvalidTag, ValueError):  # ValueError: it was cut short
            return None

    def is_due(self, kept: bytes) -> bool:
        """Whether it is to be sealed anew: it lies in clear, or an older key has sealed it."""
        return bool(self.keys) and not (is_sealed(kept) and _sealed_by(kept) == self.key_id)

    def has_key_of(self, kept: bytes) -> bool:
        """Whether what does not open is damaged, and not another key's."""
        return not is_sealed(kept) or _sealed_by(kept) in self._by_id


def is_sealed(kept: bytes) -> bool:
    return kept.startswith(MARK)


def _sealed_by(kept: bytes) -> str:
    return kept[len(MARK) : len(MARK) + ID_BYTES].hex()


def _id_of(key: bytes) -> str:
    return hashlib.sha256(b"orvanta spool key id " + key).hexdigest()[: ID_BYTES * 2]


@lru_cache(maxsize=64)  # one for each life of the agent of which something is still kept
def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"orvanta spool").derive(key))


def _bound(place: tuple[str | int, ...]) -> bytes:
    return "\0".join(map(str, place)).encode()
