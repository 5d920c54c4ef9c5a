"""Ed25519: the bridge signs every job, the agent runs nothing else (I4)."""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Keyring:
    """The bridge's public keys by their id, as enrolment gave them."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: key id → 32 raw bytes."""
        self._keys = {kid: Ed25519PublicKey.from_public_bytes(raw) for kid, raw in keys.items()}

    def verify(self, kid: str, signature: bytes, body: bytes) -> bool:
        key = self._keys.get(kid)
        if key is None:
            return False
        try:
            key.verify(signature, body)
        except InvalidSignature:
            return False
        return True
