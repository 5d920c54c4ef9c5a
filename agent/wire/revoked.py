"""The bridge's word that a token was taken away: only this, and no mere refusal, wipes a spool."""

import base64
from collections.abc import Callable
from typing import Final

from agent.wire.envelope import Verify
from agent.wire.tokens import token_id

HEADER: Final = "orvanta-revoked"  # of the 401: `<key id> <base64 of the signature>`
MEANT: Final = b"orvanta: this agent token was revoked\0"  # no job and no other message begins so

Sign = Callable[[bytes], tuple[str, bytes]]


def proof_of(token: str, sign: Sign) -> str:
    """What stands in the header."""
    kid, signature = sign(MEANT + token_id(token).encode())
    return f"{kid} {base64.b64encode(signature).decode()}"


def is_proved(proof: str, token: str, verify: Verify) -> bool:
    """Whether one of the bridge's keys says so of this very token."""
    kid, _, signature = proof.partition(" ")
    try:
        raw = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    return verify(kid, raw, MEANT + token_id(token).encode())
