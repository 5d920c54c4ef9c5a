"""The bridge's Ed25519 key: every job is signed over its exact bytes (I4)."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.relay.ledger import Ledger


class Signer:
    """Signs with the newest key; agents hold the public half of every key that is kept."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._private = {kid: Ed25519PrivateKey.from_private_bytes(raw) for kid, raw in keys.items()}
        self._newest = next(iter(keys))

    @classmethod
    async def load(cls, ledger: Ledger) -> "Signer":
        """The kept keys; the first start makes one."""
        keys = await ledger.keys()
        if not keys:
            private = Ed25519PrivateKey.generate()
            kid = _key_id(private)
            await ledger.add_first_key(kid, private.private_bytes_raw())
            keys = await ledger.keys()
        return cls(keys)

    def sign(self, body: bytes) -> tuple[str, bytes]:
        return self._newest, self._private[self._newest].sign(body)

    def public_keys(self) -> dict[str, bytes]:
        return {kid: key.public_key().public_bytes_raw() for kid, key in self._private.items()}


def _key_id(private: Ed25519PrivateKey) -> str:
    return hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()[:16]
