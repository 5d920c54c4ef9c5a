"""Values for a job, sealed so that only certain devices can open them, however many hands they pass.

Each device has an Ed25519 key for signing; the same key in Curve25519's other form takes what is sealed for
it, so no second key has to be made known. The values are sealed once, by a key of their own (ChaCha20-
Poly1305); that key is sealed to each device (X25519, HKDF-SHA256), all of it bound to the one job.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.wire.claims import JobId

PRIME: Final = 2**255 - 19
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
PURPOSE: Final = b"orvanta sealed values 1"


@dataclass(frozen=True, slots=True)
class Sealed:
    values: bytes
    for_devices: Mapping[str, str]  # device's key id → base64


def seal(job_id: JobId, values: Mapping[str, Any], devices: Mapping[str, bytes]) -> Sealed:
    """`values`: what JSON can hold. `devices`: key id → Ed25519 public key, 32 bytes."""
    key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(NONCE_BYTES)
    text = json.dumps(values, separators=(",", ":")).encode()
    closed = nonce + ChaCha20Poly1305(key).encrypt(nonce, text, job_id.encode())
    return Sealed(closed, {kid: _wrapped(key, job_id, public) for kid, public in devices.items()})


def unseal(job_id: JobId, sealed: Sealed, kid: str, private: bytes) -> dict[str, Any] | None:
    """`private`: the device's Ed25519 seed, 32 bytes. None: not sealed for this device, or changed."""
    wrapped = sealed.for_devices.get(kid)
    if wrapped is None:
        return None
    try:
        key = _unwrapped(base64.b64decode(wrapped, validate=True), job_id, private)
        text = ChaCha20Poly1305(key).decrypt(
            sealed.values[:NONCE_BYTES], sealed.values[NONCE_BYTES:], job_id.encode()
        )
        found = json.loads(text)
    except (InvalidTag, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _wrapped(key: bytes, job_id: JobId, public: bytes) -> str:
    ours = X25519PrivateKey.generate()
    theirs = X25519PublicKey.from_public_bytes(_curve_point(public))
    own = ours.public_key().public_bytes_raw()
    cipher = _cipher(ours.exchange(theirs), own, theirs.public_bytes_raw())
    closed = cipher.encrypt(bytes(NONCE_BYTES), key, job_id.encode())  # a key that is used once
    return base64.b64encode(own + closed).decode()


def _unwrapped(wrapped: bytes, job_id: JobId, private: bytes) -> bytes:
    """Raises `InvalidTag`, ValueError."""
    ours = X25519PrivateKey.from_private_bytes(hashlib.sha512(private).digest()[:KEY_BYTES])
    theirs = wrapped[:KEY_BYTES]
    shared = ours.exchange(X25519PublicKey.from_public_bytes(theirs))
    cipher = _cipher(shared, theirs, ours.public_key().public_bytes_raw())
    return cipher.decrypt(bytes(NONCE_BYTES), wrapped[KEY_BYTES:], job_id.encode())


def _cipher(shared: bytes, sender: bytes, recipient: bytes) -> ChaCha20Poly1305:
    kdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE + sender + recipient)
    return ChaCha20Poly1305(kdf.derive(shared))


def _curve_point(public: bytes) -> bytes:
    """RFC 7748's birational map, from the Edwards form to the Montgomery form."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    u = (1 + y) * pow(1 - y, PRIME - 2, PRIME) % PRIME
    return u.to_bytes(KEY_BYTES, "little")
