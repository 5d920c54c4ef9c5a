"""What the bridge tells this agent is read only when the bridge has said it, and to this agent."""

from typing import Final

from agent.compression import decompress
from agent.link.link import Delivery
from agent.trust import Keyring
from agent.wire import proofs
from agent.wire.claims import WorkerName
from agent.wire.envelope import INTRODUCED, require_signed, unpack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import Message

NO_KIND: Final = "message"


class Told:
    """One life of the link.

    A broker that is not ours any more could forge a receipt, and a result that nobody has recorded would be
    let go (I1); or a grant, and a job would start that is not ours (I2).
    """

    def __init__(self, worker: WorkerName, keys: Keyring, *, is_signed: bool) -> None:
        """`is_signed`: not by a bridge of an older release, nor where TLS to the cluster itself vouches."""
        self._worker = worker
        self._keys = keys
        self.is_signed = is_signed

    def read(self, delivery: Delivery) -> list[Message]:
        """Raises `WireError`."""
        body = unseal(delivery.body, delivery.content_encoding, decompress)
        if self.is_signed:
            self._keys.heed(delivery.headers.get("kid"), delivery.headers.get(INTRODUCED))
            stated = proofs.told(self._worker, body)
            require_signed(stated, delivery.headers, self._keys.verify, "message")
        return unpack(body)


def claimed_kinds(delivery: Delivery) -> frozenset[str]:
    """What an unproved message says it is. A hint for a report, never to be obeyed."""
    try:
        messages = unpack(unseal(delivery.body, delivery.content_encoding, decompress))
    except WireError:
        messages = []
    return frozenset(message.KIND for message in messages) or frozenset((NO_KIND,))
