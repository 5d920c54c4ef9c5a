"""What the keys sign, byte for byte, and how a signature is written down. Each has a prefix of its own.

Without the prefixes a signature made for one purpose could be shown for another. Jobs, and all that goes up
over RabbitMQ, are signed as they are (`envelope.seal`): a msgpack map, which begins like none of these.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from agent.wire.claims import WorkerName
from agent.wire.errors import Malformed

SIGNATURE: Final = "Orvanta-Signature"  # header of a pulled job, and of a result over HTTP
INTRODUCED: Final = "Orvanta-Introduced"  # header of a pulled job: see `Introduction`
CHALLENGE: Final = "Orvanta-Challenge"  # header of the answer that asks a device to prove itself
DEVICE: Final = "Orvanta-Device"  # header of a refusal: it is this device that is refused, not the token
RENEW: Final = "Orvanta-Renew"  # header of any answer to an agent: enrol again

Sign = Callable[[bytes], tuple[str, bytes]]  # body → (kid, signature)


def enrolment(challenge: str) -> bytes:
    return b"orvanta enrolment v1\n" + challenge.encode()


def pulled(worker: WorkerName, request_id: str, body: bytes) -> bytes:
    """Of the answer to one pull, so that none is an answer to another."""
    return f"orvanta pull v1\n{worker}\n{request_id}\n".encode() + body


def told(worker: WorkerName, body: bytes) -> bytes:
    """Of what the bridge tells one agent by its control queue, so that it says nothing to any other."""
    return f"orvanta told v1\n{worker}\n".encode() + body


def result(job_id: str, body_sha256: str) -> bytes:
    """Of a result over HTTP. Its body may be larger than memory: its SHA-256 (hexadecimal) stands for it."""
    return f"orvanta result v1\n{job_id}\n{body_sha256}".encode()


def result_signature(sign: Sign, job_id: str, body_sha256: str) -> str:
    return signature_text(*sign(result(job_id, body_sha256)))


def signature_text(kid: str, signature: bytes) -> str:
    return f"{kid}.{base64.b64encode(signature).decode()}"


def read_signature(text: str) -> tuple[str, bytes]:
    """Key id and signature. Raises `Malformed`."""
    kid, _, rest = text.partition(".")
    return kid, _bytes(rest)


@dataclass(frozen=True, slots=True)
class Introduction:
    """A newer key, vouched for by an older one: whoever trusts that one may trust this one."""

    public: bytes  # 32 raw bytes
    by: str  # the older key's id
    signature: bytes

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises `Malformed`."""
        try:
            public, by, signature = text.split(".")
        except ValueError:
            raise Malformed("an introduction is <public key>.<key id>.<signature>") from None
        return cls(_bytes(public), by, _bytes(signature))

    def text(self) -> str:
        public, signature = (base64.b64encode(one).decode() for one in (self.public, self.signature))
        return f"{public}.{self.by}.{signature}"


def introduction(public: bytes) -> bytes:
    return b"orvanta key v1\n" + public


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed("it is not base64") from None
