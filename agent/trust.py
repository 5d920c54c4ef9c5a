"""Ed25519: the agent runs and obeys what the bridge signed, nothing else (I4); the device signs reports."""

import hashlib
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.wire.errors import Malformed
from agent.wire.proofs import Introduction, introduction


def key_id(public: bytes) -> str:
    """The name of a public key: the same wherever it is met."""
    return hashlib.sha256(public).hexdigest()[:16]


class Keyring:
    """Public keys by their id: the bridge's at an agent, an agent's devices' at the bridge."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """`keys`: key id → 32 raw bytes."""
        self._keys = {kid: Ed25519PublicKey.from_public_bytes(raw) for kid, raw in keys.items()}

    def __contains__(self, kid: object) -> bool:
        return kid in self._keys

    def verify(self, kid: str, signature: bytes, body: bytes) -> bool:
        key = self._keys.get(kid)
        if key is None:
            return False
        try:
            key.verify(signature, body)
        except InvalidSignature:
            return False
        return True

    def heed(self, kid: object, chain: object) -> None:
        """As `learn`, from the headers of a message: only where its key is not known yet."""
        if isinstance(kid, str) and kid not in self and isinstance(chain, str):
            self.learn(chain.split())

    def learn(self, introductions: Iterable[str]) -> None:
        """Trust what a trusted key vouches for, in the order of the chain; nothing else is believed."""
        for text in introductions:
            try:
                told = Introduction.read(text)
                if self.verify(told.by, told.signature, introduction(told.public)):
                    key = Ed25519PublicKey.from_public_bytes(told.public)
                    self._keys[key_id(told.public)] = key
            except (Malformed, ValueError):
                continue


class SigningKey:
    """A private key and its name."""

    def __init__(self, raw: bytes) -> None:
        """`raw`: 32 bytes. Raises ValueError when they are not."""
        self._private = Ed25519PrivateKey.from_private_bytes(raw)
        self.raw = raw
        self.public = self._private.public_key().public_bytes_raw()
        self.kid = key_id(self.public)

    @classmethod
    def made(cls) -> "SigningKey":
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def sign(self, body: bytes) -> tuple[str, bytes]:
        """The key's id and the signature."""
        return self.kid, self._private.sign(body)

    def introduce(self, other: "SigningKey") -> Introduction:
        return Introduction(other.public, self.kid, self._private.sign(introduction(other.public)))
