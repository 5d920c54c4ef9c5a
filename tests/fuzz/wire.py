"""The wire by itself: whatever arrives is messages, or is refused by name."""

import base64
from random import Random
from typing import Final

from agent.compression import decompress
from agent.wire.envelope import claimed_job, open_job, pack, unpack, unseal
from agent.wire.errors import WireError
from tests.fuzz.envelopes import Sent, corpus, mutated
from tests.fuzz.watching import Watching

KID: Final = "sim"


def sign(body: bytes) -> tuple[str, bytes]:
    return KID, body[:4]


def verify(kid: str, signature: bytes, body: bytes) -> bool:
    return kid == KID and signature == body[:4]


def fuzz(seed: int, watching: Watching) -> None:
    true = [one for one in corpus(seed) if one.mail.body]
    for number in range(watching.count):
        draw = Random(f"{seed} wire {number}")  # noqa: S311 a case from a seed, no secret
        sent = mutated(draw, true, sign)
        with watching.step(f"case {number}"):
            watching.outcomes[_read(sent)] += 1


def _read(sent: Sent) -> str:
    """What it was taken for."""
    body = b""
    try:
        body = unseal(sent.mail.body, sent.mail.content_encoding, decompress)
        claimed_job(body)
        signed = {"kid": KID, "sig": base64.b64encode(body[:4]).decode()}
        for headers in (sent.mail.headers, signed):
            try:
                pack([open_job(body, headers, verify)])
            except WireError:
                continue
        pack(unpack(body))
    except WireError as error:
        return type(error).__name__
    return "read"
