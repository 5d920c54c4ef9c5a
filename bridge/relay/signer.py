"""The bridge's Ed25519 keys: all that goes down over RabbitMQ is signed over its exact bytes (I4)."""

from collections.abc import Sequence
from typing import Final

from agent.compression import compress
from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.claims import WorkerName
from agent.wire.envelope import INTRODUCED, Envelope, Sign, seal
from bridge.relay.ledger import Ledger

CHAIN_MAX: Final = 8  # introductions with each message: so many rotations a site may have slept through


class Signer:
    """Signs with the newest key; agents hold the public half of every key that is not retired.

    A newer key comes with its introduction by the older one, in the enrolment and with each message: an
    agent that has not heard of it trusts it all the same, with or without a link.
    """

    def __init__(self, keys: dict[str, bytes], introductions: Sequence[str] = ()) -> None:
        """`keys`: the newest first; `introductions`: the oldest first."""
        self._take(keys, introductions)

    @classmethod
    async def load(cls, ledger: Ledger) -> "Signer":
        """The kept keys; the first start makes one."""
        keys = await ledger.keys()
        if not keys:
            made = SigningKey.made()
            await ledger.add_first_key(made.kid, made.raw)
            keys = await ledger.keys()
        return cls(keys, await ledger.introductions(CHAIN_MAX))

    async def refresh(self, ledger: Ledger) -> None:
        """Take over what was rotated or retired by whoever shares the store."""
        self._take(await ledger.keys(), await ledger.introductions(CHAIN_MAX))

    def sign(self, body: bytes) -> tuple[str, bytes]:
        return self._keys[0].sign(body)

    def seal(self, body: bytes) -> Envelope:
        """A job, signed, with the chain of introductions that leads to the key."""
        return self._sealed(body, self.sign)

    def seal_for(self, worker: WorkerName, body: bytes) -> Envelope:
        """As `seal`, for what is told to one agent, and holds for no other: one signature a message."""
        return self._sealed(body, lambda exact: self.sign(proofs.told(worker, exact)))

    def headers(self, stated: bytes) -> dict[str, str]:
        """The signature of what is stated, as headers of an HTTP answer."""
        headers = {proofs.SIGNATURE: proofs.signature_text(*self.sign(stated))}
        return headers | ({proofs.INTRODUCED: " ".join(self._introductions)} if self._introductions else {})

    def public_keys(self) -> dict[str, bytes]:
        return {key.kid: key.public for key in self._keys}

    def introductions(self) -> list[str]:
        return list(self._introductions)

    def _sealed(self, body: bytes, sign: Sign) -> Envelope:
        envelope = seal(body, compress, sign)
        if not self._introductions:
            return envelope
        headers = {**envelope.headers, INTRODUCED: " ".join(self._introductions)}
        return Envelope(envelope.body, envelope.content_encoding, headers)

    def _take(self, keys: dict[str, bytes], introductions: Sequence[str]) -> None:
        self._keys = [SigningKey(raw) for raw in keys.values()]
        self._introductions = list(introductions)


async def rotate(ledger: Ledger) -> str:
    """Make a new key, introduced by the newest one; from now on it signs. Its id."""
    newest = SigningKey(next(iter((await ledger.keys()).values())))
    made = SigningKey.made()
    await ledger.add_key(made.kid, made.raw, newest.introduce(made).text())
    return made.kid
